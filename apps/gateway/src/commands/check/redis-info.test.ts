import { expect, test } from 'vitest';
import { evictionProblems, persistenceProblems } from './redis-info.ts';

test.each([
  { policy: 'noeviction', name: 'is right', expected: [] },
  {
    policy: 'allkeys-lru',
    name: 'is an error',
    expected: [
      {
        result: 'error',
        detail:
          'maxmemory-policy allkeys-lru can drop second factors when the memory of Redis is full: users are refused',
        fix: 'set maxmemory-policy noeviction',
      },
    ],
  },
  {
    policy: undefined,
    name: 'is warned of',
    expected: [
      {
        result: 'warning',
        name: 'redis-info',
        detail: 'INFO does not show maxmemory_policy, so it is unknown whether it is noeviction',
      },
    ],
  },
])('a Redis with maxmemory-policy $policy $name', ({ policy, expected }) => {
  const servers = [
    { maxmemory_policy: 'noeviction' },
    policy === undefined ? {} : { maxmemory_policy: policy },
  ];
  expect(evictionProblems(servers, 'second factors', ': users are refused')).toEqual(expected);
});

test.each<{ name: string; info: Record<string, string>; details: readonly unknown[] }>([
  { name: 'with an append-only file is right', info: { aof_enabled: '1' }, details: [] },
  {
    name: 'without a snapshot is warned of',
    info: { aof_enabled: '0', rdb_last_bgsave_time_sec: '-1' },
    details: [
      expect.stringMatching(
        /^it has no append-only file, and has made no snapshot .* a restart loses all second factors, and users are refused then$/,
      ),
    ],
  },
  {
    name: 'with snapshots alone is warned of',
    info: { aof_enabled: '0', rdb_last_bgsave_time_sec: '0' },
    details: [
      expect.stringMatching(/^it has no append-only file: a crash undoes what was written after/),
    ],
  },
  {
    name: 'that does not say is warned of',
    info: {},
    details: [
      'INFO does not show aof_enabled, so it is unknown whether a restart loses all second factors',
    ],
  },
])('a Redis $name', ({ info, details }) => {
  const found = persistenceProblems([{ aof_enabled: '1' }, info], 'users are refused then');
  expect(found.map(({ result, detail }) => [result, detail])).toEqual(
    details.map((detail) => ['warning', detail]),
  );
});
