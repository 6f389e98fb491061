import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRevocationList, digestToken, type Entry, shortDigest } from './list.ts';

function createListWithClock() {
  const clock = { now: 1_000, wall: Number.POSITIVE_INFINITY };
  const list = createRevocationList(
    () => clock.now,
    () => clock.wall,
  );
  return { clock, list };
}

let made = 0;
function entry(of: Partial<Entry> & Pick<Entry, 'revision'>): Entry {
  const rest = {
    action: 'block',
    kind: 'user',
    name: 'jane',
    at: 0,
    until: 2_000,
    by: 'root',
  } as const;
  return { id: `entry-${made++}`, ...rest, keptUntil: of.until ?? rest.until, ...of };
}

const revoke = (of: Partial<Entry> & Pick<Entry, 'revision'>) => entry({ action: 'revoke', ...of });

describe('a revocation', () => {
  test('voids answers whose lookup began before it, and only these', () => {
    const { list } = createListWithClock();
    list.merge([revoke({ revision: 10 })]);
    expect([9, 10, 11].map((since) => list.isRevoked(since, 'jane', 't'))).toEqual([
      true,
      false,
      false,
    ]);
    expect(list.isRevoked(0, 'john', 't')).toBe(false);
    expect(list.isRevoked(0, undefined, 't')).toBe(false);
  });

  test('of a token voids answers to that token, whoever its user is', () => {
    const { list } = createListWithClock();
    list.merge([revoke({ revision: 10, kind: 'token', name: digestToken('stolen') })]);
    expect(list.isRevoked(9, 'jane', 'stolen')).toBe(true);
    expect(list.isRevoked(9, undefined, 'stolen')).toBe(true);
    expect(list.isRevoked(9, 'jane', 'other')).toBe(false);
  });

  test('of all voids everything', () => {
    const { list } = createListWithClock();
    list.merge([revoke({ revision: 10, kind: 'all', name: '' })]);
    expect(list.isRevoked(9, undefined, 'any')).toBe(true);
    expect(list.isRevoked(10, 'jane', 'any')).toBe(false);
  });

  test('is independent of a block of the same name', () => {
    const { list } = createListWithClock();
    list.merge([entry({ revision: 10 }), revoke({ revision: 11 })]);
    expect(list.isRevoked(10, 'jane', 't')).toBe(true);
    expect(list.findByUser('jane', [])).toBeDefined();
  });
});

describe('a block', () => {
  test('blocks a user, the members of a group, or a token, until it ends', () => {
    const { list, clock } = createListWithClock();
    const user = entry({ revision: 1 });
    const group = entry({ revision: 2, kind: 'group', name: 'ops' });
    const token = entry({ revision: 3, kind: 'token', name: digestToken('stolen') });
    list.merge([user, group, token]);
    expect(list.findByUser('jane', [])).toEqual(user);
    expect(list.findByUser('john', ['dev', 'ops'])).toEqual(group);
    expect(list.findByToken('stolen')).toEqual(token);
    // Names are compared as they are, each with those of its kind.
    expect(list.findByUser('ops', ['jane'])).toBeUndefined();
    expect(list.findByUser('Jane', ['Ops'])).toBeUndefined();
    expect(list.findByToken('other')).toBeUndefined();
    expect(list.blocks).toEqual([user, group, token]);
    clock.now = 1_999;
    expect(list.findByUser('jane', [])).toBeDefined();
    clock.now = 2_000;
    expect([list.findByUser('jane', ['ops']), list.findByToken('stolen')]).toEqual([
      undefined,
      undefined,
    ]);
    expect(list.blocks).toEqual([]);
  });

  test('of a jti or a sid blocks the tokens that have it, each with those of its kind', () => {
    const { list, clock } = createListWithClock();
    expect(list.findByCredential({ jti: 'a', sid: 'b' })).toBeUndefined();
    const token = entry({ revision: 1, kind: 'jti', name: 'a' });
    const session = entry({ revision: 2, kind: 'sid', name: 'b' });
    list.merge([token, session]);
    expect(list.findByCredential({ jti: 'a' })).toEqual(token);
    expect(list.findByCredential({ sid: 'b' })).toEqual(session);
    expect(list.findByCredential({ jti: 'c', sid: 'b' })).toEqual(session);
    for (const other of [{}, { jti: 'b', sid: 'a' }, { jti: 'A' }, { jti: '' }]) {
      expect(list.findByCredential(other)).toBeUndefined();
    }
    expect([list.findByUser('a', ['b']), list.findByToken('a'), list.blocks]).toEqual([
      undefined,
      undefined,
      [token, session],
    ]);
    list.merge([entry({ revision: 3, kind: 'sid', name: 'b', action: 'unblock' })]);
    expect(list.findByCredential({ jti: 'a', sid: 'b' })).toEqual(token);
    clock.now = 2_000;
    expect(list.findByCredential({ jti: 'a', sid: 'b' })).toBeUndefined();
  });

  test('of a credential ID blocks what has it, by the way of its scheme', () => {
    const { list } = createListWithClock();
    const certificate = entry({ revision: 1, kind: 'credential', name: 'X509SHA256=ab' });
    const token = entry({ revision: 2, kind: 'token', name: 'cd' });
    list.merge([certificate, token]);
    expect(list.findByCredentialId({ kind: 'credential', name: 'X509SHA256=ab' })).toEqual(
      certificate,
    );
    expect(list.findByCredentialId({ kind: 'token', name: 'cd' })).toEqual(token);
    expect(list.findByCredentialId({ kind: 'credential', name: 'cd' })).toBeUndefined();
    expect(list.findByCredentialId({ kind: 'jti', name: 'X509SHA256=ab' })).toBeUndefined();
  });
  test('is ended by an unblock, and by nothing older', () => {
    const { list } = createListWithClock();
    const block = entry({ revision: 5 });
    list.merge([block, entry({ revision: 6, action: 'unblock' })]);
    expect(list.findByUser('jane', [])).toBeUndefined();
    // A replica that had missed it writes back the block that it knows.
    list.merge([{ ...block, id: 'written-back' }]);
    expect(list.findByUser('jane', [])).toBeUndefined();
    list.merge([entry({ revision: 7 })]);
    expect(list.findByUser('jane', [])).toBeDefined();
  });
});

describe('a known entry', () => {
  test('stays when Redis has lost it, and must be written back', () => {
    const { list } = createListWithClock();
    const known = [entry({ revision: 1 }), revoke({ revision: 2, name: 'john' })];
    list.merge(known);
    expect(list.merge([])).toEqual({ adopted: [], outOfOrder: [] });
    expect(list.entries).toEqual(known);
    expect(list.findByUser('jane', [])).toBeDefined();
    expect(list.isRevoked(1, 'john', 't')).toBe(true);
  });

  test('is reported once as new', () => {
    const { list } = createListWithClock();
    const one = entry({ revision: 1 });
    expect(list.merge([one]).adopted).toEqual([one]);
    expect(list.merge([one]).adopted).toEqual([]);
  });

  test('is removed when it has ended, except for the newest, which holds the revision', () => {
    const { list, clock } = createListWithClock();
    const newest = entry({ revision: 9, name: 'john' });
    list.merge([entry({ revision: 3 }), newest]);
    const hour = 3_600_000;
    clock.now = 2_000 + hour - 1;
    list.merge([]);
    expect(list.entries).toHaveLength(2);
    clock.now += 1;
    list.merge([]);
    expect(list.entries).toEqual([newest]);
    expect(list.revision).toBe(9);
    const next = entry({ revision: 12, until: 2 * hour });
    list.merge([next]);
    expect(list.entries).toEqual([next]);
  });

  test('never lowers the revision', () => {
    const { list } = createListWithClock();
    list.merge([entry({ revision: 9 })]);
    list.merge([entry({ revision: 4, name: 'john' })]);
    expect(list.revision).toBeGreaterThan(9);
  });
});

describe('a wrong clock', () => {
  test('lifts no block, be it that of Redis or of the replica, and no block is forgotten', () => {
    const { list, clock } = createListWithClock();
    const block = entry({ revision: 1 });
    clock.wall = 1_000;
    list.merge([block]);
    const year = 365 * 86_400_000;
    for (const [now, wall] of [
      [year, 1_000],
      [1_000, year],
    ] as const) {
      clock.now = now;
      clock.wall = wall;
      list.merge([revoke({ revision: list.revision + 1, name: 'john', until: 2 * year })]);
      expect(list.findByUser('jane', [])).toEqual(block);
    }
    clock.now = year;
    expect(list.findByUser('jane', [])).toBeUndefined();
  });
});

describe('a shorter block', () => {
  test('is not replaced by the longer one that it superseded, not even when it has ended', () => {
    const { list, clock } = createListWithClock();
    const longer = entry({ revision: 1, until: 90_000 });
    list.merge([longer, entry({ revision: 2, until: 2_000, keptUntil: 90_000 })]);
    clock.now = 3_600_000 + 50_000;
    list.merge([longer]);
    expect(list.findByUser('jane', [])).toBeUndefined();
  });
});

describe('an entry that comes out of its order', () => {
  test('takes effect after all known entries, and must be published so', () => {
    const { list } = createListWithClock();
    list.merge([revoke({ revision: 9, name: 'ada' })]);
    // This entry is from a Redis that has lost its last writes, and with them the count.
    const late = revoke({ revision: 4 });
    expect(list.merge([late]).outOfOrder).toEqual([late]);
    // An answer that was looked up knowing of revision 9 came before it.
    expect(list.isRevoked(9, 'jane', 't')).toBe(true);
    expect(list.isRevoked(list.revision, 'jane', 't')).toBe(false);
  });

  test('is ignored when it has ended', () => {
    const { list } = createListWithClock();
    list.merge([entry({ revision: 9 })]);
    expect(list.merge([entry({ revision: 4, name: 'john', until: 500 })])).toEqual({
      adopted: [],
      outOfOrder: [],
    });
    expect(list.revision).toBe(9);
  });
});

test('in any order of merges, the newest entry of each subject holds', () => {
  const draft = fc.record({
    action: fc.constantFrom('block' as const, 'unblock' as const, 'revoke' as const),
    name: fc.constantFrom('a', 'b', 'c'),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(draft, fc.nat(3)), { maxLength: 30 }), (drafts) => {
      const entries = drafts.map(([one], index) => entry({ ...one, revision: index + 1 }));
      // The entries come in parts, one after the other and repeatedly, as replicas read them.
      const { list } = createListWithClock();
      for (let until = 1; until <= entries.length; until += 1 + (drafts[until - 1]?.[1] ?? 0)) {
        list.merge(entries.slice(0, until));
      }
      list.merge(entries);
      expect(list.revision).toBe(entries.length);
      for (const name of ['a', 'b', 'c']) {
        const about = entries.filter((one) => one.name === name);
        const block = about.filter(({ action }) => action !== 'revoke').at(-1);
        expect(list.findByUser(name, [])?.id).toBe(
          block?.action === 'block' ? block.id : undefined,
        );
        const revoked = about.filter(({ action }) => action === 'revoke').at(-1)?.revision ?? 0;
        for (const since of [0, revoked - 1, revoked]) {
          expect(list.isRevoked(since, name, 't')).toBe(since < revoked);
        }
      }
    }),
  );
});

test('a digest is shown by its first 12 digits', () => {
  expect(shortDigest('ab'.repeat(32))).toBe('abababababab');
});
