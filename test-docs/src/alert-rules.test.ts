import {
  type AlertingRule,
  alertsOf,
  promtool,
  readRules,
  ruleTests,
} from '@sallyport/test/deployed';
import { describe, expect, test } from 'vitest';
import { readPage } from './testing/pages.ts';

const files = await readRules();
const tests = await ruleTests();
const alerts = alertsOf(files);
const names = alerts.map(({ alert }) => alert).sort();

/** Reads the entries of the runbook: the text below each heading of its section, by heading. */
async function readRunbook(): Promise<ReadonlyMap<string, string>> {
  const [, section = ''] = (await readPage('docs/monitoring.md')).split(/^## Alerts\n/m);
  const [alertsOnly = ''] = section.split(/^## /m);
  const entries = alertsOnly.split(/^### /m).slice(1);
  return new Map(
    entries.map((entry) => [entry.slice(0, entry.indexOf('\n')), entry.slice(entry.indexOf('\n'))]),
  );
}

const headingOf = ({ alert, labels }: AlertingRule) => `${alert} (${labels.severity})`;

describe('rules for Prometheus', () => {
  test('promtool finds no problem in them, nor in the example that loads them', async () => {
    const output = await promtool('check', 'config', 'prometheus.example.yaml');
    expect(output).toContain(`${files.length} rule files found`);
    expect(output).not.toMatch(/FAILED|WARNING|duplicate/i);
  });

  test.each(tests)('%s holds', async (name) => {
    expect(await promtool('test', 'rules', name)).toContain('SUCCESS');
  });

  test('each alert is tested to fire, not to fire, and to clear', async () => {
    const texts = (
      await Promise.all(tests.map((name) => readPage(`deploy/prometheus/${name}`)))
    ).join('\n');
    const cases = texts.split(/^ {2}- name: /m).slice(1);
    for (const alert of names) {
      const own = cases.filter((one) => one.startsWith(`"${alert} `));
      // These are the expected results of all looks at the alert, in order: whether it fires.
      const looks = own.map((one) =>
        one
          .split('- expr: ALERTS')
          .slice(1)
          .map((look) => look.includes('exp_samples')),
      );
      const firesAndClears = looks.some(
        (fires) => fires.includes(true) && fires.lastIndexOf(false) > fires.indexOf(true),
      );
      expect(firesAndClears, `${alert} fires, and clears`).toBe(true);
      expect(looks.flat(), `${alert} is looked at when it does not fire`).toContain(false);
    }
  });
});

describe('the runbook', () => {
  test('has an entry for each alert, with its severity, and no other', async () => {
    expect([...(await readRunbook()).keys()].sort()).toEqual(alerts.map(headingOf).sort());
  });

  test.each(alerts)(
    'of $alert says what it means, its impact, the diagnosis and the mitigation',
    async (rule) => {
      const { alert, labels, annotations } = rule;
      expect(labels.severity).toMatch(/^(critical|warning)$/);
      expect(annotations.summary).toMatch(/^.{20,120}$/);
      expect(annotations.description).toMatch(/^[A-Z{].{60,300}\.$/);
      // GitHub makes the anchor of a heading in this way.
      expect(annotations.runbook_url).toBe(
        `docs/monitoring.md#${alert.toLowerCase()}-${labels.severity}`,
      );
      const entry = (await readRunbook()).get(headingOf(rule)) ?? '';
      const parts = [...entry.matchAll(/^- \*\*(\w+)\*\* \S/gm)].map(([, part]) => part);
      expect(parts).toEqual(['Meaning', 'Impact', 'Diagnosis', 'Mitigation']);
    },
  );
});
