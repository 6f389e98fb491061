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
    subject === undefined ? noOpinion : ({ kind: 'rejected', reason: 'invalid-credentials', subject } as const);
  if (decision.kind === 'authenticated') throw new Error('not negative');
  return { decision, answeredAt: 0, answeredMonotonic: 0, revision: 0 };
}
const named = (tier: MemoryTier, token: string, ...audiences: string[]) =>
  tier.nameOf({ token, audiences, fingerprint: 'one' });

/** The tokens that have a positive entry. A lookup counts as use, so each is looked up once. */
const held = (tier: MemoryTier, tokens: readonly string[]) =>
  tokens.filter((token) => tier.get(named(tier, token)).positive !== undefined);

describe('the memory tier', () => {
  test('returns what was added for the same question, and nothing for another', () => {
    const tier = createMemoryTier(10);
    const one = positive();
    tier.add(named(tier, 'a', 'x', 'y'), one, 'one');
    expect(tier.get(named(tier, 'a', 'y', 'x', 'y'))).toEqual({ positive: one, negative: undefined });
    for (const name of [named(tier, 'a'), named(tier, 'a', 'x'), named(tier, 'b', 'x', 'y')]) {
      expect(tier.get(name)).toEqual({ positive: undefined, negative: undefined });
    }
    const elsewhere = tier.nameOf({ token: 'a', audiences: ['x', 'y'], fingerprint: 'two' });
    expect(tier.get(elsewhere).positive).toBeUndefined();
    // Names of another process are other names.
    expect(tier.get(named(createMemoryTier(10), 'a', 'x', 'y')).positive).toBeUndefined();
  });

  test('evicts the tokens used least recently, and negative entries evict no positive one', () => {
    const tier = createMemoryTier(3);
    for (const token of ['a', 'b', 'c']) tier.add(named(tier, token), positive(), 'one');
    tier.get(named(tier, 'a'));
    for (let count = 0; count < 100; count += 1) tier.addNegative(named(tier, `bad ${count}`), negative());
    expect(tier.entries).toBe(6);
    tier.add(named(tier, 'd'), positive(), 'one');
    expect(held(tier, ['a', 'b', 'c', 'd'])).toEqual(['a', 'c', 'd']);
    expect(tier.get(named(tier, 'bad 99')).negative).toBeDefined();
    expect(tier.get(named(tier, 'bad 96')).negative).toBeUndefined();
  });

  test('has eight answers of a user with an authenticator, and a ninth replaces the oldest of them', () => {
    const tier = createMemoryTier(20);
    for (const token of ['a', 'b', 'c']) tier.add(named(tier, token), positive('john'), 'one');
    const spellings = Array.from({ length: 100 }, (_, count) => `spelling ${count}`);
    for (const token of spellings) tier.add(named(tier, token), positive(), 'one');
    expect(held(tier, spellings)).toEqual(spellings.slice(-8));
    expect(held(tier, ['a', 'b', 'c'])).toEqual(['a', 'b', 'c']);
    // One that is renewed is the newest of them, and takes no other one's place.
    tier.add(named(tier, 'spelling 92'), positive(), 'one');
    tier.add(named(tier, 'next'), positive(), 'one');
    expect(held(tier, spellings)).toEqual([92, 94, 95, 96, 97, 98, 99].map((count) => `spelling ${count}`));
    // Audiences count as well, and the same name of another authenticator is another user.
    for (let count = 0; count < 20; count += 1) tier.add(named(tier, 'next', `${count}`), positive(), 'one');
    expect(held(tier, [...spellings, 'next'])).toEqual([]);
    tier.add(named(tier, 'elsewhere'), positive(), 'two');
    expect(tier.entries).toBe(3 + 8 + 1);
    // An answer that has gone, however it went, leaves its place.
    tier.addNegative(named(tier, 'next', '19'), negative());
    tier.add(named(tier, 'again'), positive(), 'one');
    expect(tier.get(named(tier, 'next', '12')).positive).toBeDefined();
    tier.sweep(({ decision }) => decision.user.username !== 'jane');
    for (const token of spellings.slice(0, 8)) tier.add(named(tier, token), positive(), 'one');
    expect(held(tier, spellings)).toEqual(spellings.slice(0, 8));
    // A change of its size keeps the order in which they were used.
    tier.resize(15);
    tier.add(named(tier, 'last'), positive(), 'one');
    expect(held(tier, spellings)).toEqual(spellings.slice(1, 8));
  });

  test('has one answer to a question: the last', () => {
    const tier = createMemoryTier(10);
    const name = named(tier, 'a');
    tier.addNegative(name, negative());
    tier.add(name, positive(), 'one');
    tier.sweep(() => false);
    expect(tier.get(name)).toEqual({ positive: undefined, negative: undefined });
    tier.add(name, positive(), 'one');
    tier.addNegative(name, negative());
    expect(tier.get(name)).toEqual({ positive: undefined, negative: negative() });
    expect(tier.entries).toBe(1);
  });

  test('holds fewer large entries', () => {
    const tier = createMemoryTier(10);
    const groups = Array.from({ length: 100 }, (_, count) => `group ${count} ${'x'.repeat(100)}`);
    const tokens = Array.from({ length: 10 }, (_, count) => `token ${count}`);
    for (const token of tokens) tier.add(named(tier, token), positive('jane', groups), 'one');
    // 25 KiB each, of 40 KiB.
    expect(held(tier, tokens)).toEqual(['token 9']);
    for (const token of tokens) tier.addNegative(named(tier, token), negative('x'.repeat(1_500)));
    expect(tokens.filter((token) => tier.get(named(tier, token)).negative)).toEqual(['token 9']);
  });

  test('drops exactly the unusable entries in a sweep', () => {
    const tier = createMemoryTier(10);
    const [good, bad] = [positive('good'), positive('bad')];
    for (const [token, audience, one] of [
      ['a', 'x', good],
      ['a', 'y', bad],
      ['b', 'x', bad],
      ['c', 'x', good],
    ] as const) {
      tier.add(named(tier, token, audience), one, 'one');
    }
    tier.sweep((one) => one === good);
    expect(tier.entries).toBe(2);
    expect([tier.get(named(tier, 'a', 'x')).positive, tier.get(named(tier, 'a', 'y')).positive]).toEqual([
      good,
      undefined,
    ]);
    expect([tier.get(named(tier, 'b', 'x')).positive, tier.get(named(tier, 'c', 'x')).positive]).toEqual([
      undefined,
      good,
    ]);
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
    expect(held(tier, tokens)).toEqual(['b', 'd']);
    expect(tokens.filter((token) => tier.get(named(tier, token, 'x')).negative)).toEqual(['b', 'd']);
    tier.resize(4);
    expect(held(tier, tokens)).toEqual(['b', 'd']);
    for (const token of ['f', 'g', 'h']) tier.add(named(tier, token), positive(), 'one');
    expect(held(tier, [...tokens, 'f', 'g', 'h'])).toEqual(['d', 'f', 'g', 'h']);
  });
});

/** A few questions and users, so that they meet: more questions than one user may have answers, or the tier has. */
const step = fc.record({
  kind: fc.constantFrom('positive', 'positive', 'positive', 'negative', 'get'),
  token: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
  audience: fc.constantFrom('x', 'y'),
  username: fc.constantFrom('jane', 'jane', 'jane', 'john'),
});

interface Known {
  readonly question: string;
  readonly username: string;
}

/** What the tier should hold: in the order of use, and in the order of arrival. */
class Model {
  used: readonly Known[] = [];
  arrived: readonly Known[] = [];

  drop(question: string): void {
    this.used = this.used.filter((one) => one.question !== question);
    this.arrived = this.arrived.filter((one) => one.question !== question);
  }

  add(known: Known, most: number): void {
    this.drop(known.question);
    const own = this.arrived.filter(({ username }) => username === known.username);
    if (own[0] !== undefined && own.length >= 8) this.drop(own[0].question);
    if (this.used[0] !== undefined && this.used.length >= most) this.drop(this.used[0].question);
    this.used = [...this.used, known];
    this.arrived = [...this.arrived, known];
  }

  use(question: string): Known | undefined {
    const known = this.used.find((one) => one.question === question);
    if (known) this.used = [...this.used.filter((one) => one !== known), known];
    return known;
  }
}

test('a negative entry replaces the positive one of its question and the other way round; a user has eight, and the least recently used go first', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const tier = createMemoryTier(10);
      const model = new Model();
      const negatives = new Set<string>();
      for (const { kind, token, audience, username } of steps) {
        const name = named(tier, token, audience);
        const question = `${token} ${audience}`;
        if (kind === 'positive') {
          tier.add(name, positive(username), 'one');
          negatives.delete(question);
          model.add({ question, username }, 10);
        } else if (kind === 'negative') {
          tier.addNegative(name, negative());
          negatives.add(question);
          model.drop(question);
        } else {
          const { positive: found, negative: refused } = tier.get(name);
          expect(found?.decision.user.username).toBe(model.use(question)?.username);
          // Which negative entry is evicted first does not matter; that both are there at once does.
          expect(refused === undefined || negatives.has(question)).toBe(true);
          expect(found !== undefined && refused !== undefined).toBe(false);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});
