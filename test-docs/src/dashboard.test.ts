import { asked, drawn, promtool, readDashboard } from '@sallyport/test/deployed';
import { describe, expect, test } from 'vitest';
import { readPage } from './testing/pages.ts';

const dashboard = await readDashboard();
const panels = drawn(dashboard);

/** Returns the value with the keys of each object in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

describe('the dashboard', () => {
  test.each(panels)('$title: is described, and shows what the variables select', (panel) => {
    const { title, description, fieldConfig, targets } = panel;
    expect(title).toMatch(/^.{4,40}$/);
    expect(description).toMatch(/^[\w].{25,200}\.$/);
    expect(fieldConfig.defaults.unit).toMatch(/^\w+$/);
    expect(targets.length).toBeGreaterThan(0);
    for (const { expr } of targets) {
      const selectors = expr.match(/\{[^}]*\}/g) ?? [];
      expect(selectors.length, expr).toBeGreaterThan(0);
      for (const selector of selectors) {
        expect(selector).toContain('job=~"$job", instance=~"$instance"');
        const chosen = selector.includes('authenticator=~"$authenticator"');
        expect(chosen, selector).toBe(/sallyport_(authenticator|cache_lookups)/.test(expr));
      }
    }
  });

  test('promtool accepts all queries', async () => {
    const queries = panels.flatMap(({ targets }) =>
      targets.map(({ expr }) => `(${asked(expr, dashboard)})`),
    );
    await promtool('--experimental', 'promql', 'format', queries.join(' or '));
  });

  test('has variables for the Prometheus, the job, replicas and authenticators', () => {
    const names = dashboard.templating.list.map(({ name }) => name);
    expect(names).toEqual(['datasource', 'job', 'instance', 'authenticator']);
  });

  test('no panels overlap, and no title is used twice', () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from(
        { length: w * h },
        (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`,
      ),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...cells.map((cell) => Number(cell.split(',')[0])))).toBe(23);
    const titles = dashboard.panels.map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
  });

  test('fits a repository: keys in order, panels counted, nothing that an export changes', async () => {
    const exported = JSON.parse(await readPage('deploy/grafana/sallyport.json'));
    expect(JSON.stringify(exported)).toBe(JSON.stringify(sorted(exported)));
    expect(exported.panels.map(({ id }: { id: number }) => id)).toEqual(
      exported.panels.map((_: unknown, at: number) => at + 1),
    );
    expect(exported).not.toHaveProperty('id');
    expect(exported).not.toHaveProperty('version');
  });
});
