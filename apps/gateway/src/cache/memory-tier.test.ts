import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keep, newest } from './kept.ts';
import { createMemoryTier, type KeptNegative, type MemoryTier } from './memory-tier.ts';
import { createClocks, noOpinion, yes } from './testing/cached-replica.ts';

const clocks = createClocks();

function keptYes(username = 'jane', groups: string[] = []) {
  const decision = yes(username, { groups });
  if (decision.kind !== 'authenticated') throw new Error('no yes');
  return keep({ decision, answeredAt: clocks.wall(), revision: 0 }, clocks, newest);
}
function keptNo(subject?: string): KeptNegative {
  const decision =
    subject === undefined ? noOpinion : ({ kind: 'rejected', reason: 'invalid-credentials', subject } as const);
  if (decision.kind === 'authenticated') throw new Error('no no');
  return { decision, answeredAt: 0, answeredMonotonic: 0, revision: 0 };
}
const named = (tier: MemoryTier, token: string, ...audiences: string[]) =>
  tier.nameOf({ token, audiences, fingerprint: 'one' });

/** Those of the tokens for which there is a yes. Looking is use, so each is looked at once. */
const kept = (tier: MemoryTier, tokens: readonly string[]) =>
  tokens.filter((token) => tier.get(named(tier, token)).yes !== undefined);

describe('the memory tier', () => {
  test('gives back what was kept for the same question, and nothing for another', () => {
    const tier = createMemoryTier(10);
    const one = keptYes();
    tier.add(named(tier, 'a', 'x', 'y'), one, 'one');
    expect(tier.get(named(tier, 'a', 'y', 'x', 'y'))).toEqual({ yes: one, no: undefined });
    for (const name of [named(tier, 'a'), named(tier, 'a', 'x'), named(tier, 'b', 'x', 'y')]) {
      expect(tier.get(name)).toEqual({ yes: undefined, no: undefined });
    }
    const elsewhere = tier.nameOf({ token: 'a', audiences: ['x', 'y'], fingerprint: 'two' });
    expect(tier.get(elsewhere).yes).toBeUndefined();
    // Names of another process are other names.
    expect(tier.get(named(createMemoryTier(10), 'a', 'x', 'y')).yes).toBeUndefined();
  });

  test('forgets the tokens that were used least recently, and a no is no use of room for a yes', () => {
    const tier = createMemoryTier(3);
    for (const token of ['a', 'b', 'c']) tier.add(named(tier, token), keptYes(), 'one');
    tier.get(named(tier, 'a'));
    for (let count = 0; count < 100; count += 1) tier.addNegative(named(tier, `bad ${count}`), keptNo());
    expect(tier.entries).toBe(6);
    tier.add(named(tier, 'd'), keptYes(), 'one');
    expect(kept(tier, ['a', 'b', 'c', 'd'])).toEqual(['a', 'c', 'd']);
    expect(tier.get(named(tier, 'bad 99')).no).toBeDefined();
    expect(tier.get(named(tier, 'bad 96')).no).toBeUndefined();
  });

  test('has eight answers of a user with an authenticator, and a ninth takes the place of the oldest of them', () => {
    const tier = createMemoryTier(20);
    for (const token of ['a', 'b', 'c']) tier.add(named(tier, token), keptYes('john'), 'one');
    const spellings = Array.from({ length: 100 }, (_, count) => `spelling ${count}`);
    for (const token of spellings) tier.add(named(tier, token), keptYes(), 'one');
    expect(kept(tier, spellings)).toEqual(spellings.slice(-8));
    expect(kept(tier, ['a', 'b', 'c'])).toEqual(['a', 'b', 'c']);
    // One that is renewed is the newest of them, and takes no other one's place.
    tier.add(named(tier, 'spelling 92'), keptYes(), 'one');
    tier.add(named(tier, 'next'), keptYes(), 'one');
    expect(kept(tier, spellings)).toEqual([92, 94, 95, 96, 97, 98, 99].map((count) => `spelling ${count}`));
    // Audiences count as well, and the same name of another authenticator is another user.
    for (let count = 0; count < 20; count += 1) tier.add(named(tier, 'next', `${count}`), keptYes(), 'one');
    expect(kept(tier, [...spellings, 'next'])).toEqual([]);
    tier.add(named(tier, 'elsewhere'), keptYes(), 'two');
    expect(tier.entries).toBe(3 + 8 + 1);
    // An answer that has gone, however it went, leaves its place.
    tier.addNegative(named(tier, 'next', '19'), keptNo());
    tier.add(named(tier, 'again'), keptYes(), 'one');
    expect(tier.get(named(tier, 'next', '12')).yes).toBeDefined();
    tier.sweep(({ decision }) => decision.user.username !== 'jane');
    for (const token of spellings.slice(0, 8)) tier.add(named(tier, token), keptYes(), 'one');
    expect(kept(tier, spellings)).toEqual(spellings.slice(0, 8));
    // A change of its size keeps the order in which they were used.
    tier.resize(15);
    tier.add(named(tier, 'last'), keptYes(), 'one');
    expect(kept(tier, spellings)).toEqual(spellings.slice(1, 8));
  });

  test('holds fewer of those who are large', () => {
    const tier = createMemoryTier(10);
    const groups = Array.from({ length: 100 }, (_, count) => `group ${count} ${'x'.repeat(100)}`);
    const tokens = Array.from({ length: 10 }, (_, count) => `token ${count}`);
    for (const token of tokens) tier.add(named(tier, token), keptYes('jane', groups), 'one');
    // 25 KiB each, of 40 KiB.
    expect(kept(tier, tokens)).toEqual(['token 9']);
    for (const token of tokens) tier.addNegative(named(tier, token), keptNo('x'.repeat(1_500)));
    expect(tokens.filter((token) => tier.get(named(tier, token)).no)).toEqual(['token 9']);
  });

  test('drops what is not usable at a sweep, and that only', () => {
    const tier = createMemoryTier(10);
    const [good, bad] = [keptYes('good'), keptYes('bad')];
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
    expect([tier.get(named(tier, 'a', 'x')).yes, tier.get(named(tier, 'a', 'y')).yes]).toEqual([good, undefined]);
    expect([tier.get(named(tier, 'b', 'x')).yes, tier.get(named(tier, 'c', 'x')).yes]).toEqual([undefined, good]);
  });

  test('keeps what was used last when it is made smaller, and all when it is made larger', () => {
    const tokens = ['a', 'b', 'c', 'd', 'e'];
    const tier = createMemoryTier(5);
    for (const token of tokens) tier.add(named(tier, token), keptYes(), 'one');
    for (const token of tokens) tier.addNegative(named(tier, token, 'x'), keptNo());
    for (const token of ['b', 'd']) {
      tier.get(named(tier, token));
      tier.get(named(tier, token, 'x'));
    }
    tier.resize(2);
    expect(kept(tier, tokens)).toEqual(['b', 'd']);
    expect(tokens.filter((token) => tier.get(named(tier, token, 'x')).no)).toEqual(['b', 'd']);
    tier.resize(4);
    expect(kept(tier, tokens)).toEqual(['b', 'd']);
    for (const token of ['f', 'g', 'h']) tier.add(named(tier, token), keptYes(), 'one');
    expect(kept(tier, [...tokens, 'f', 'g', 'h'])).toEqual(['d', 'f', 'g', 'h']);
  });
});

/** A few questions and users, so that they meet: more questions than one user may have answers, or the tier has. */
const deed = fc.record({
  kind: fc.constantFrom('yes', 'yes', 'yes', 'no', 'look'),
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

test('a no deletes the yes to the same question and the other way round; a user has eight, and the least used go first', () => {
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 60 }), (deeds) => {
      const tier = createMemoryTier(10);
      const model = new Model();
      const negatives = new Set<string>();
      for (const { kind, token, audience, username } of deeds) {
        const name = named(tier, token, audience);
        const question = `${token} ${audience}`;
        if (kind === 'yes') {
          tier.add(name, keptYes(username), 'one');
          negatives.delete(question);
          model.add({ question, username }, 10);
        } else if (kind === 'no') {
          tier.addNegative(name, keptNo());
          negatives.add(question);
          model.drop(question);
        } else {
          const { yes: found, no } = tier.get(name);
          expect(found?.decision.user.username).toBe(model.use(question)?.username);
          // Which no is forgotten first is of no matter: that both are there at once is.
          expect(no === undefined || negatives.has(question)).toBe(true);
          expect(found !== undefined && no !== undefined).toBe(false);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});
