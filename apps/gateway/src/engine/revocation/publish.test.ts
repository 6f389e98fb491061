import { describe, expect, test } from 'vitest';
import { type Entry, selectBlocks, selectCurrentEntries } from './list.ts';
import { type Draft, placeEntry } from './publish.ts';

const now = 1_000_000;
const draft: Draft = { action: 'block', kind: 'user', name: 'jane', by: 'ada', until: now + 1_000 };
const entry = (id: string, revision: number, more: Partial<Entry> = {}): Entry => ({
  ...draft,
  id,
  revision,
  at: now - 10,
  until: now + 500,
  keptUntil: more.until ?? now + 500,
  ...more,
});

describe('a new entry', () => {
  test('has a revision above all others, and at least the time of Redis', () => {
    expect(placeEntry(draft, { entries: [], now }).entry).toEqual({
      ...draft,
      revision: now,
      at: now,
      keptUntil: now + 3_600_000,
    });
    const ahead = [entry('b', now + 7, { name: 'bob' }), entry('a', 3, { name: 'ann' })];
    expect(placeEntry(draft, { entries: ahead, now }).entry.revision).toBe(now + 8);
  });

  test('replaces what it supersedes and what has ended, and nothing else', () => {
    const present = [
      entry('revoked', 3, { action: 'revoke' }),
      entry('group', 4, { kind: 'group' }),
      entry('bob', 5, { name: 'bob', action: 'unblock' }),
    ];
    const gone = [
      entry('block', 1),
      entry('unblock', 2, { action: 'unblock' }),
      entry('old', 9, { name: 'x', until: now }),
    ];
    expect(placeEntry(draft, { entries: [...gone, ...present], now }).otherEntries).toEqual(
      present,
    );
  });

  test('is remembered for an hour, and for as long as what it supersedes would be', () => {
    const keptUntil = (of: Partial<Draft>, entries: readonly Entry[] = []) =>
      placeEntry({ ...draft, ...of }, { entries, now }).entry.keptUntil - now;
    const hour = 3_600_000;
    expect(keptUntil({ until: now + 1 })).toBe(hour);
    expect(keptUntil({ until: now + 2 * hour })).toBe(2 * hour);
    const longer = entry('longer', 1, { keptUntil: now + 9 * hour });
    expect(keptUntil({}, [longer])).toBe(9 * hour);
    expect(keptUntil({ action: 'unblock' }, [longer])).toBe(9 * hour);
    expect(keptUntil({ name: 'bob' }, [longer])).toBe(hour);
  });

  test('is refused when it is longer than what would be read', () => {
    expect(() => placeEntry({ ...draft, reason: 'x'.repeat(4_096) }, { entries: [], now })).toThrow(
      /longer than 4096 bytes/,
    );
  });

  test('is refused when ten thousand are in force, unless it replaces one', () => {
    const entries = Array.from({ length: 10_000 }, (_, index) =>
      entry(`${index}`, index, { name: `user-${index}` }),
    );
    expect(() => placeEntry(draft, { entries, now })).toThrow(/full: 10000 entries are in force/);
    expect(placeEntry({ ...draft, name: 'user-7' }, { entries, now }).otherEntries).toHaveLength(
      9_999,
    );
    expect(
      placeEntry(draft, { entries: entries.with(3, entry('3', 3, { until: now })), now })
        .otherEntries,
    ).toHaveLength(9_999);
  });

  test('is placed however many users were invited, and an invitation is refused after a thousand', () => {
    const invite = { ...draft, action: 'factor-invite' } as const;
    const blocks = Array.from({ length: 9_999 }, (_, index) =>
      entry(`${index}`, index, { name: `user-${index}` }),
    );
    const invited = Array.from({ length: 1_000 }, (_, index) =>
      entry(`i${index}`, index, { action: 'factor-invite', name: `new-${index}` }),
    );
    const entries = [...blocks, ...invited];
    expect(placeEntry(draft, { entries, now }).otherEntries).toHaveLength(10_999);
    expect(() => placeEntry(invite, { entries, now })).toThrow(/1000 invitations and resets/);
    expect(placeEntry({ ...invite, name: 'new-7' }, { entries, now }).otherEntries).toHaveLength(
      10_998,
    );
  });
});

test('of several entries of one subject the newest is current', () => {
  const [old, unblock, other] = [
    entry('a', 1),
    entry('b', 2, { action: 'unblock' }),
    entry('c', 3, { name: 'bob' }),
  ];
  expect(selectCurrentEntries([other, unblock, old])).toEqual([unblock, other]);
});

test('blocks in force are those that have not ended and that no unblock has ended, the newest first', () => {
  const [first, second] = [
    entry('a', 1, { name: 'a', at: 5 }),
    entry('b', 2, { name: 'b', at: 6 }),
  ];
  const others = [
    entry('c', 3, { name: 'c', until: now }),
    entry('d', 4, { name: 'd' }),
    entry('e', 5, { name: 'd', action: 'unblock' }),
    entry('f', 6, { name: 'f', action: 'revoke' }),
  ];
  expect(selectBlocks({ entries: [first, ...others, second], now })).toEqual([second, first]);
});
