import { base } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

/** These flood a gateway, or measure what a flood, an outage or a look at it costs others: nothing else runs beside them. */
const alone = [
  'admin-flood',
  'cache-failover',
  'cache-outages',
  'cache-user-flood',
  'connection-flood',
  'hostile-connections',
  'hostile-http2',
  'observation-cost',
  'one-user',
  'redis-hostile',
  'redis-outages',
  'redis-shortage',
  'token-list',
].map((name) => `src/${name}.test.ts`);

// Projects add their lists of files to one that is set here. Secrets, folders and authorities are those of a file.
const { include, ...common } = { ...base.test, isolate: true, testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    ...common,
    projects: [
      // Most of these tests wait for another process: more files at once than cores.
      {
        extends: true,
        test: { name: 'together', include, exclude: alone, maxWorkers: 4, sequence: { groupOrder: 0 } },
      },
      { extends: true, test: { name: 'alone', include: alone, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
});
