import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMemoryTier, type MemoryTier, type NegativeEntry } from './memory-tier.ts';
import { toEntry } from './record.ts';
import { authenticated, createClocks, noOpinion } from './testing/cached-replica.ts';

const clocks = createClocks();

function positive(username = 'jane', groups: string[] = []) {
  const decision = authenticated(username, { groups });
  if (decision.kind !== 'authenticated') throw new Error('not authenticated');
  return toEntry({ decision, answeredAt: clocks.wall(), revision: 0 }, clocks);
}
function negative(subject?: string): NegativeEntry {
  const decision =
    subject === undefined
      ? noOpinion
      : ({ kind: 'rejected', reason: 'invalid-credentials', subject } as const);
  if (decision.kind === 'authenticated') throw new Error('not negative');
  return { decision, answeredAt: 0, answeredMonotonic: 0, revision: 0 };
}
const named = (tier: MemoryTier, token: string, ...audiences: string[]) =>
  tier.nameAnswer({ token, audiences, fingerprint: 'one' });

/** The tokens that have a positive entry. A lookup counts as use, so each is looked up once. */
const present = (tier: MemoryTier, tokens: readonly string[]) =>
  tokens.filter((token) => tier.get(named(tier, token)).positive !== undefined);

describe('the memory tier', () => {
  test('returns what was added for the same question, and nothing for another', () => {
    const tier = createMemoryTier(10);
    const one = positive();
    tier.add(named(tier, 'a', 'x', 'y'), one, 'one');
    expect(tier.get(named(tier, 'a', 'y', 'x', 'y'))).toEqual({
      positive: one,
      negative: undefined,
    });
    for (const name of [named(tier, 'a'), named(tier, 'a', 'x'), named(tier, 'b', 'x', 'y')]) {
      expect(tier.get(name)).toEqual({ positive: undefined, negative: undefined });
    }
    const elsewhere = tier.nameAnswer({ token: 'a', audiences: ['x', 'y'], fingerprint: 'two' });
    expect(tier.get(elsewhere).positive).toBeUndefined();
    // Names of another process are other names.
    expect(tier.get(named(createMemoryTier(10), 'a', 'x', 'y')).positive).toBeUndefined();
  });

  test('evicts the tokens used least recently, and negative entries evict no positive one', () => {
    const tier = createMemoryTier(3);
    for (const token of ['a', 'b', 'c']) tier.add(named(tier, token), positive(), 'one');
    tier.get(named(tier, 'a'));
    for (let count = 0; count < 100; count += 1)
      tier.addNegative(named(tier, `bad ${count}`), negative());
    expect(tier.entries).toBe(6);
    tier.add(named(tier, 'd'), positive(), 'one');
    expect(present(tier, ['a', 'b', 'c', 'd'])).toEqual(['a', 'c', 'd']);
    expect(tier.get(named(tier, 'bad 99')).negative).toBeDefined();
    expect(tier.get(named(tier, 'bad 96')).negative).toBeUndefined();
  });

  test('holds fewer large entries', () => {
    const tier = createMemoryTier(10);
    const groups = Array.from({ length: 100 }, (_, count) => `group ${count} ${'x'.repeat(100)}`);
    const tokens = Array.from({ length: 10 }, (_, count) => `token ${count}`);
    for (const token of tokens) tier.add(named(tier, token), positive('jane', groups), 'one');
    // 25 KiB each, of 40 KiB.
    expect(present(tier, tokens)).toEqual(['token 9']);
    for (const token of tokens) tier.addNegative(named(tier, token), negative('x'.repeat(1_500)));
    expect(tokens.filter((token) => tier.get(named(tier, token)).negative)).toEqual(['token 9']);
    // 2.2 KiB each, of 5 KiB.
    const long = ['a', 'b', 'c'].map((one) => one.repeat(1_000));
    for (const name of long) tier.addNegative(name, negative());
    expect(long.filter((name) => tier.get(name).negative)).toHaveLength(2);
  });

  test('keeps the entries used last when it shrinks, and all when it grows', () => {
    const tokens = ['a', 'b', 'c', 'd', 'e'];
    const tier = createMemoryTier(5);
    for (const token of tokens) tier.add(named(tier, token), positive(), 'one');
    for (const token of tokens) tier.addNegative(named(tier, token, 'x'), negative());
    for (const token of ['b', 'd']) {
      tier.get(named(tier, token));
      tier.get(named(tier, token, 'x'));
    }
    tier.resize(2);
    expect(present(tier, tokens)).toEqual(['b', 'd']);
    expect(tokens.filter((token) => tier.get(named(tier, token, 'x')).negative)).toEqual([
      'b',
      'd',
    ]);
    tier.resize(4);
    expect(present(tier, tokens)).toEqual(['b', 'd']);
    for (const token of ['f', 'g', 'h']) tier.add(named(tier, token), positive(), 'one');
    expect(present(tier, [...tokens, 'f', 'g', 'h'])).toEqual(['d', 'f', 'g', 'h']);
  });
});

/** A few questions and users, so that they meet: more questions than one user may have answers, or the tier has. */
const step = fc.record({
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constant('positive' as const) },
    { weight: 4, arbitrary: fc.constantFrom('negative' as const, 'get' as const) },
    { weight: 1, arbitrary: fc.constantFrom('sweep' as const, 'resize' as const) },
  ),
  token: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
  audience: fc.constantFrom('x', 'y'),
  username: fc.constantFrom('jane', 'jane', 'jane', 'john'),
  fingerprint: fc.constantFrom('one', 'one', 'one', 'one', 'two'),
  max: fc.constantFrom(9, 10, 12),
});

interface Known {
  readonly question: string;
  /** The user, as one authenticator knows the name. */
  readonly user: string;
}

/** What the tier should hold: in the order of use, and in the order of arrival. */
class Model {
  max = 10;
  used: readonly Known[] = [];
  arrived: readonly Known[] = [];

  drop(isDropped: (one: Known) => boolean): void {
    this.used = this.used.filter((one) => !isDropped(one));
    this.arrived = this.arrived.filter((one) => !isDropped(one));
  }

  add(known: Known): void {
    this.drop(({ question }) => question === known.question);
    const own = this.arrived.filter(({ user }) => user === known.user);
    if (own.length >= 8) this.drop((one) => one === own[0]);
    const [last] = this.used;
    if (this.used.length >= this.max) this.drop((one) => one === last);
    this.used = [...this.used, known];
    this.arrived = [...this.arrived, known];
  }

  use(question: string): Known | undefined {
    const known = this.used.find((one) => one.question === question);
    if (known) this.used = [...this.used.filter((one) => one !== known), known];
    return known;
  }

  /** The tier is built again, in the order of use. */
  resize(max: number): void {
    if (max === this.max) return;
    this.max = max;
    this.used = this.used.slice(-max);
    this.arrived = this.used;
  }
}

test('a question has one answer, the last; a user has eight with an authenticator, a ninth replaces the oldest; the least recently used go first', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 100 }), (steps) => {
      const tier = createMemoryTier(10);
      const model = new Model();
      const negatives = new Set<string>();
      const names = new Map<string, string>();
      for (const { kind, token, audience, username, fingerprint, max } of steps) {
        const name = tier.nameAnswer({ token, audiences: [audience], fingerprint });
        const question = `${fingerprint} ${token} ${audience}`;
        names.set(question, name);
        if (kind === 'positive') {
          tier.add(name, positive(username), fingerprint);
          negatives.delete(question);
          model.add({ question, user: `${fingerprint} ${username}` });
        } else if (kind === 'negative') {
          tier.addNegative(name, negative());
          negatives.add(question);
          model.drop((one) => one.question === question);
        } else if (kind === 'sweep') {
          tier.sweep(({ decision }) => decision.user.username !== username);
          model.drop(({ user }) => user.endsWith(username));
        } else if (kind === 'resize') {
          tier.resize(max);
          model.resize(max);
        } else {
          const { positive: found, negative: refused } = tier.get(name);
          const expected = model.use(question);
          expect(found?.decision.user.username).toBe(expected?.user.split(' ')[1]);
          // Which negative entry is evicted first does not matter; that both are there at the same time does.
          expect(refused === undefined || negatives.has(question)).toBe(true);
          expect(found !== undefined && refused !== undefined).toBe(false);
        }
      }
      const left = [...names].filter(([, name]) => tier.get(name).positive !== undefined);
      expect(left.map(([question]) => question).sort()).toEqual(
        model.used.map(({ question }) => question).sort(),
      );
    }),
    { numRuns: 400 },
  );
});
