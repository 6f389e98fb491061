import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { DirectoryConfig } from '../../config/types.ts';
import { createDirectoryMetrics } from './directory-metrics.ts';
import { seriesOf } from './testing/series.ts';

const configOf = (...withDirectory: string[]) => ({
  authenticators: [
    { name: 'corp' },
    ...withDirectory.map((name) => {
      return { name, directory: { authenticator: 'corp' } as DirectoryConfig };
    }),
  ],
});

const seriesFor = (authenticator: string, result: string) =>
  `sallyport_directory_lookups_total{authenticator="${authenticator}",result="${result}"}`;

test('without directory there are no series', async () => {
  const registry = new Registry();
  const metrics = createDirectoryMetrics(registry);
  metrics.follow(configOf());
  metrics.onLookedUp('corp', 'found');
  expect(await seriesOf(registry)).toEqual({});
});

test('lookups are counted from 0 for each authenticator with directory, until a reload removes it', async () => {
  const registry = new Registry();
  const metrics = createDirectoryMetrics(registry);
  metrics.follow(configOf('oidc', 'robots'));
  metrics.onLookedUp('oidc', 'missing');
  metrics.onLookedUp('oidc', 'missing');
  metrics.onLookedUp('corp', 'found');
  const others = ['found', 'refused', 'error', 'stale'];
  const ofOidc = {
    ...Object.fromEntries(others.map((result) => [seriesFor('oidc', result), 0])),
    [seriesFor('oidc', 'missing')]: 2,
  };
  const all = ['missing', ...others];
  expect(await seriesOf(registry)).toEqual({
    ...ofOidc,
    ...Object.fromEntries(all.map((result) => [seriesFor('robots', result), 0])),
  });
  metrics.follow(configOf('oidc'));
  metrics.onLookedUp('robots', 'found');
  expect(await seriesOf(registry)).toEqual(ofOidc);
});
