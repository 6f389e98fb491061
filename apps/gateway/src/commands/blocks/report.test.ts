import { expect, test } from 'vitest';
import { onOneLine } from '../../config/problems.ts';
import type { Publication } from '../../engine/revocation/confirmation.ts';
import type { Entry } from '../../engine/revocation/list.ts';
import { remarks } from './remarks.ts';
import { chooseExitCode, confirmationLine, entryJson, publicationJson } from './report.ts';

const now = Date.parse('2030-01-01T00:00:00.250Z');
const entry: Entry = {
  id: 'x',
  action: 'block',
  kind: 'user',
  name: 'jane',
  revision: 7,
  at: now,
  until: now + 1_000,
  keptUntil: now + 1_000,
  by: 'ada',
};
const publication = (confirmation: object = {}, more: object = {}): Publication => ({
  entry,
  confirmation: { now, confirmed: ['a', 'b'], unconfirmed: [], longSilent: [], ...confirmation },
  unreadable: { count: 0, until: 0, key: 'sallyport:{revocations}:list' },
  isAboveLimit: false,
  hasNewKinds: false,
  hadList: true,
  ...more,
});
const silent = { id: 'c\u001b', heardAt: now - 12_000, absence: 'silent' };

/** The remarks, each on one line. */
const lines = (one: Publication) => remarks(one).map(onOneLine);

test('confirmed by all is success, without a remark', () => {
  const all = publication();
  expect([confirmationLine(all.confirmation), lines(all), chooseExitCode(all)]).toEqual([
    'confirmed by 2 of 2 replicas.\n',
    [],
    0,
  ]);
});

test('an entry that was written above maxmemory is a success, and says what else does not work', () => {
  const full = publication({}, { isAboveLimit: true });
  expect(lines(full)).toEqual([
    expect.stringMatching(/^the memory of the cache Redis is full.*: raise maxmemory/),
  ]);
  expect([chooseExitCode(full), publicationJson(full)]).toMatchObject([0, { redisIsFull: true }]);
  expect(publicationJson(publication())).not.toHaveProperty('redisIsFull');
});

test('one that has not confirmed is named, with what that means', () => {
  const some = publication({ unconfirmed: [silent] });
  expect([confirmationLine(some.confirmation), chooseExitCode(some)]).toEqual([
    'confirmed by 2 of 3 replicas.\n',
    1,
  ]);
  expect(lines(some)).toEqual([
    'not confirmed by c\\u{1b}, last heard of 12s ago: cut off from Redis, hanging or killed',
    expect.stringMatching(/^a gateway that is cut off uses cached answers for at most 10s more/),
  ]);
});

test('of one with other keys, only these are the problem', () => {
  const other = publication({ unconfirmed: [{ ...silent, id: 'c', absence: 'other keys' }] });
  expect([lines(other), chooseExitCode(other)]).toEqual([
    [
      expect.stringMatching(
        /^not confirmed by c, .*: its cache\.redis\.sealingKeys differ from .*: give both the same keys/,
      ),
    ],
    1,
  ]);
});

test('a gateway that does not take in a list with a jti or sid may be too old for that', () => {
  const behind = { unconfirmed: [{ ...silent, absence: 'behind' }] };
  const older = expect.stringMatching(
    /^the list contains a block of a jti or sid, or an entry about a second factor\. A gateway of an older version/,
  );
  const hasNewKinds = { hasNewKinds: true };
  expect(lines(publication(behind, hasNewKinds))).toContainEqual(older);
  expect(lines(publication({ unconfirmed: [silent] }, hasNewKinds))).not.toContainEqual(older);
  expect(lines(publication(behind))).not.toContainEqual(older);
});

test('no gateway at all is no success, unless the operator says that none runs', () => {
  const none = publication({ confirmed: [] });
  expect([confirmationLine(none.confirmation), lines(none), chooseExitCode(none)]).toEqual([
    'no gateway has confirmed it: it takes effect when one starts.\n',
    [
      expect.stringMatching(
        /^no gateway is noted in this Redis, .*: check that --config .* add --expect 0$/,
      ),
    ],
    1,
  ]);
  const expected = publication({ confirmed: [], expected: 0 });
  expect([
    confirmationLine(expected.confirmation),
    lines(expected),
    chooseExitCode(expected),
  ]).toEqual(['no gateway has confirmed it: it takes effect when one starts.\n', [], 0]);
});

test('one that was silent for long counts, unless the operator says how many run', () => {
  const gone = { longSilent: [{ id: 'old', heardAt: now - 600_000 }] };
  const some = publication(gone);
  expect([confirmationLine(some.confirmation), lines(some), chooseExitCode(some)]).toEqual([
    'confirmed by 2 of 3 replicas.\n',
    [
      expect.stringMatching(
        /^not confirmed by old, last heard of 10m ago: cut off from Redis, hanging or killed: stop it, .*--expect N$/,
      ),
    ],
    1,
  ]);
  const two = publication({ ...gone, expected: 2 });
  expect([confirmationLine(two.confirmation), lines(two), chooseExitCode(two)]).toEqual([
    'confirmed by 2 of 2 replicas.\n',
    ['old is not counted: last heard of 10m ago'],
    0,
  ]);
});

test('fewer replicas than the operator expects are no success, and more are one', () => {
  const fewer = publication({ expected: 3 });
  expect([confirmationLine(fewer.confirmation), lines(fewer), chooseExitCode(fewer)]).toEqual([
    'confirmed by 2 of 2 replicas.\n',
    [expect.stringMatching(/^--expect 3: only 2 confirmed it: find the gateway/)],
    1,
  ]);
  expect(chooseExitCode(publication({ expected: 1 }))).toBe(0);
  expect(chooseExitCode(publication({ expected: 1, unconfirmed: [silent] }))).toBe(1);
});

test('a replica whose note is gone is named', () => {
  const removed = publication({ unconfirmed: [{ ...silent, id: 'c', absence: 'removed' }] });
  expect([lines(removed)[0], chooseExitCode(removed)]).toEqual([
    expect.stringMatching(/^not confirmed by c, .*: it has ended, or another client .*: run the/),
    1,
  ]);
});

test('a Redis without a list is reported, and who begins a new one is told what that means', () => {
  const lost = publication({}, { hadList: false });
  const noList =
    /^the cache Redis had no revocation list, .* let no one in: .* sallyport revoke --all$/;
  expect([lines(lost), chooseExitCode(lost)]).toEqual([[expect.stringMatching(noList)], 1]);
  expect(chooseExitCode(publication({ expected: 1 }, { hadList: false }))).toBe(0);
  const all = { ...entry, action: 'revoke', kind: 'all', name: '' } as const;
  const begun = publication({}, { hadList: false, entry: all });
  expect([lines(begun), chooseExitCode(begun)]).toEqual([
    [
      expect.stringMatching(
        /^the cache Redis had no revocation list, .* this command began: block/,
      ),
    ],
    0,
  ]);
});

test('an entry that another operator superseded is not a success', () => {
  const superseded = publication({}, { supersededBy: { ...entry, action: 'unblock', by: 'eve' } });
  expect([lines(superseded), chooseExitCode(superseded)]).toEqual([
    ['superseded: eve ran unblock for the same subject at 2030-01-01T00:00:00Z'],
    1,
  ]);
});

test('entries that no key opens are not a failure: their number, their end and how to remove them are shown', () => {
  const { key } = publication().unreadable;
  const some = publication({}, { unreadable: { count: 2, until: now + 3_600_000, key } });
  expect([lines(some), chooseExitCode(some)]).toEqual([
    [
      "2 entries of the revocation list can't be opened with cache.redis.sealingKeys of this config, so what they block is " +
        'not known here, until 2030-01-01T01:00:00Z: if a gateway or a command has other keys, give all of them the same keys. ' +
        `If all have the same keys, repeat the block that "sallyport blocks" doesn't list, and remove them while the ` +
        "gateways run, which write back all others: redis-cli DEL 'sallyport:{revocations}:list'",
    ],
    0,
  ]);
  // The time is what another client has written.
  const forged = publication({}, { unreadable: { count: 1, until: Number('9'.repeat(16)), key } });
  expect(lines(forged)).toEqual([
    expect.stringMatching(/^1 entry of .* until \+275760-09-13T00:00:00Z: /),
  ]);
});

test('JSON has the entry without its place in the list, and who has confirmed', () => {
  expect(
    JSON.parse(JSON.stringify(publicationJson(publication({ unconfirmed: [silent] })))),
  ).toEqual({
    entry: {
      action: 'block',
      kind: 'user',
      name: 'jane',
      by: 'ada',
      at: '2030-01-01T00:00:00.250Z',
      until: '2030-01-01T00:00:01.250Z',
    },
    confirmed: ['a', 'b'],
    unconfirmed: [
      { replica: silent.id, lastHeardAt: '2029-12-31T23:59:48.250Z', problem: 'silent' },
    ],
    gone: [],
    unreadable: 0,
  });
  expect(
    entryJson({ ...entry, action: 'revoke', kind: 'all', name: '', reason: 'drill' }),
  ).not.toHaveProperty('name');
});
