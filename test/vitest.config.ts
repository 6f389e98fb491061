import { base } from '@sallyport/scripts/vitest-base';
import { defineConfig } from 'vitest/config';

const filesOf = (...names: readonly string[]) => names.map((name) => `src/${name}.test.ts`);

/** These compare times, or what processes cost, on a machine that does nothing else: nothing runs beside them. */
const alone = filesOf('bench', 'login-load');

/** These look at what an outage costs others, which is mostly waiting for timeouts: three at once leave cores idle. */
const outages = filesOf('redis-hostile', 'redis-outages');

// Projects add their lists of files to one that is set here. Secrets, folders and authorities are those of a file. Large
// files come first, so that none is left over at the end.
const sequence = { shuffle: { files: false, tests: true } };
const { include, ...common } = { ...base.test, isolate: true, sequence };

export default defineConfig({
  test: {
    ...common,
    projects: [
      // Most of these tests wait for another process: more files at once than cores.
      {
        extends: true,
        test: {
          name: 'together',
          include,
          exclude: [...outages, ...alone],
          maxWorkers: 4,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'outages', include: outages, maxWorkers: 3, sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: { name: 'alone', include: alone, maxWorkers: 1, sequence: { groupOrder: 2 } },
      },
    ],
  },
});
