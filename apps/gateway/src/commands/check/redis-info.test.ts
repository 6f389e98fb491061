import { expect, test } from 'vitest';
import { evictionProblems, persistenceProblems } from './redis-info.ts';

test.each([
  ['noeviction', []],
  [
    'allkeys-lru',
    [
      {
        result: 'error',
        detail:
          'maxmemory-policy allkeys-lru can drop second factors when the memory of Redis is full: users are refused',
        fix: 'set maxmemory-policy noeviction',
      },
    ],
  ],
  [
    undefined,
    [
      {
        result: 'warning',
        detail: 'INFO does not show maxmemory_policy, so it is unknown whether it is noeviction',
      },
    ],
  ],
])('a Redis with maxmemory-policy %s', (policy, expected) => {
  const servers = [
    { maxmemory_policy: 'noeviction' },
    policy === undefined ? {} : { maxmemory_policy: policy },
  ];
  expect(evictionProblems(servers, 'second factors', ': users are refused')).toEqual(expected);
});

test.each<[string, Record<string, string>, readonly unknown[]]>([
  ['with an append-only file', { aof_enabled: '1' }, []],
  [
    'without a snapshot',
    { aof_enabled: '0', rdb_last_bgsave_time_sec: '-1' },
    [
      expect.stringMatching(
        /^it has no append-only file, and has made no snapshot .* a restart loses all second factors, and users are refused then$/,
      ),
    ],
  ],
  [
    'with snapshots alone',
    { aof_enabled: '0', rdb_last_bgsave_time_sec: '0' },
    [expect.stringMatching(/^it has no append-only file: a crash undoes what was written after/)],
  ],
  [
    'that does not say',
    {},
    ['INFO does not show aof_enabled, so it is unknown whether a restart loses all second factors'],
  ],
])('a Redis %s', (_, info, details) => {
  const found = persistenceProblems([{ aof_enabled: '1' }, info], 'users are refused then');
  expect(found.map(({ result, detail }) => [result, detail])).toEqual(
    details.map((detail) => ['warning', detail]),
  );
});
