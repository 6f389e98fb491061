import { expect, test } from 'vitest';
import { lossRisks } from './loss-risks.ts';

const good = {
  maxmemory_policy: 'noeviction',
  aof_enabled: '0',
  rdb_last_bgsave_time_sec: '-1',
  rdb_last_save_time: '1893456000',
};

test.each([
  { name: 'an append-only file', changed: { aof_enabled: '1' }, problems: [] },
  {
    name: 'neither, as far as anyone knows',
    changed: {},
    problems: [
      'it has no append-only file, and has made no snapshot since it started: without save points, a restart loses all tokens: ' +
        'set appendonly yes (docs/redis.md)',
    ],
  },
  {
    name: 'snapshots',
    changed: { rdb_last_bgsave_time_sec: '0' },
    problems: [
      'it has no append-only file: a crash loses what was written after its last snapshot, at 2030-01-01T00:00:00.000Z. ' +
        'Tokens are unknown then, and revoked ones are valid again: set appendonly yes (docs/redis.md)',
    ],
  },
  {
    name: 'nothing that is shown',
    changed: { aof_enabled: undefined, maxmemory_policy: undefined },
    problems: [
      'INFO does not show maxmemory_policy, so it is unknown whether it drops tokens when its memory is full',
      'INFO does not show aof_enabled, so it is unknown whether a restart loses tokens',
    ],
  },
  {
    name: 'a policy that evicts',
    changed: { aof_enabled: '1', maxmemory_policy: 'volatile-lru' },
    problems: [
      'maxmemory-policy volatile-lru may drop tokens when its memory is full: set maxmemory-policy noeviction',
    ],
  },
])('check() says what a server with $name can lose', ({ changed, problems }) => {
  const info = Object.fromEntries(
    Object.entries({ ...good, ...changed }).filter(([, value]) => value !== undefined),
  );
  expect(lossRisks(info as Record<string, string>, 'tokens')).toEqual(problems);
});
