import { documentedMetrics } from '@sallyport/test/documented-metrics';
import { expect, test } from 'vitest';
import { readPage } from './testing/pages.ts';

test('docs/monitoring.md lists each metric, with its labels', async () => {
  const [, section = ''] = (await readPage('docs/monitoring.md')).split(/^## Metrics\n/m);
  const [list = ''] = section.split(/^## /m);
  const rows = [...list.matchAll(/^- `(sallyport_\w+)`(?: \(([^)]*)\))?: \S/gm)].map(
    ([, name = '', labels = '']) =>
      [name, [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label).sort()] as const,
  );
  const metrics = Object.entries(documentedMetrics);
  expect(Object.fromEntries(rows)).toEqual(
    Object.fromEntries(metrics.map(([name, { labels }]) => [name, labels])),
  );
  expect(rows).toHaveLength(metrics.length);
});
