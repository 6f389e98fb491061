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
const always = () => true;
const named = (tier: MemoryTier, token: string, ...audiences: string[]) =>
  tier.nameOf({ token, audiences, fingerprint: 'one' });

/** Those of the tokens for which there is a yes. Looking is use, so each is looked at once. */
const kept = (tier: MemoryTier, tokens: readonly string[]) =>
  tokens.filter((token) => tier.get(named(tier, token)).yes !== undefined);

describe('the memory tier', () => {
  test('gives back what was kept for the same question, and nothing for another', () => {
    const tier = createMemoryTier(10);
    const one = keptYes();
    expect(tier.add(named(tier, 'a', 'x', 'y'), one, always)).toBe(true);
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
    for (const token of ['a', 'b', 'c']) tier.add(named(tier, token), keptYes(), always);
    tier.get(named(tier, 'a'));
    for (let count = 0; count < 100; count += 1) tier.addNegative(named(tier, `bad ${count}`), keptNo());
    expect(tier.entries).toBe(6);
    tier.add(named(tier, 'd'), keptYes(), always);
    expect(kept(tier, ['a', 'b', 'c', 'd'])).toEqual(['a', 'c', 'd']);
    expect(tier.get(named(tier, 'bad 99')).no).toBeDefined();
    expect(tier.get(named(tier, 'bad 96')).no).toBeUndefined();
  });

  test('has eight sets of audiences for a token and no more, until one of them is not usable any more', () => {
    const tier = createMemoryTier(3);
    for (const token of ['b', 'c']) tier.add(named(tier, token), keptYes(), always);
    const made = Array.from({ length: 100 }, (_, count) => tier.add(named(tier, 'a', `${count}`), keptYes(), always));
    expect(made.filter(Boolean)).toHaveLength(8);
    expect(made.slice(0, 8)).toEqual(new Array(8).fill(true));
    expect(kept(tier, ['b', 'c'])).toEqual(['b', 'c']);
    // Known ones are renewed all the same.
    const next = keptYes('joan');
    expect(tier.add(named(tier, 'a', '7'), next, always)).toBe(true);
    expect(tier.get(named(tier, 'a', '7')).yes).toBe(next);
    expect(tier.add(named(tier, 'a', '8'), next, (other) => other === next)).toBe(true);
    expect(tier.get(named(tier, 'a', '0')).yes).toBeUndefined();
    expect(tier.get(named(tier, 'a', '7')).yes).toBe(next);
  });

  test('holds fewer of those who are large', () => {
    const tier = createMemoryTier(10);
    const groups = Array.from({ length: 100 }, (_, count) => `group ${count} ${'x'.repeat(100)}`);
    const tokens = Array.from({ length: 10 }, (_, count) => `token ${count}`);
    for (const token of tokens) tier.add(named(tier, token), keptYes('jane', groups), always);
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
      tier.add(named(tier, token, audience), one, always);
    }
    tier.sweep((one) => one === good);
    expect(tier.entries).toBe(2);
    expect([tier.get(named(tier, 'a', 'x')).yes, tier.get(named(tier, 'a', 'y')).yes]).toEqual([good, undefined]);
    expect([tier.get(named(tier, 'b', 'x')).yes, tier.get(named(tier, 'c', 'x')).yes]).toEqual([undefined, good]);
  });

  test('keeps what was used last when it is made smaller, and all when it is made larger', () => {
    const tokens = ['a', 'b', 'c', 'd', 'e'];
    const tier = createMemoryTier(5);
    for (const token of tokens) tier.add(named(tier, token), keptYes(), always);
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
    for (const token of ['f', 'g', 'h']) tier.add(named(tier, token), keptYes(), always);
    expect(kept(tier, [...tokens, 'f', 'g', 'h'])).toEqual(['d', 'f', 'g', 'h']);
  });
});

/** A few tokens and audiences, so that they meet. */
const deed = fc.record({
  kind: fc.constantFrom('yes', 'no', 'look'),
  token: fc.constantFrom('a', 'b', 'c', 'd'),
  audience: fc.constantFrom('x', 'y'),
});

test('a no deletes the yes to the same question and the other way round, and least used tokens go first', () => {
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 40 }), (deeds) => {
      const tier = createMemoryTier(3);
      /** Tokens in the order of their last use, with the audiences for which there is a yes. */
      let order: [string, Set<string>][] = [];
      const negatives = new Set<string>();
      for (const { kind, token, audience } of deeds) {
        const name = named(tier, token, audience);
        const audiences = order.find(([each]) => each === token)?.[1] ?? new Set();
        const question = `${token} ${audience}`;
        if (kind === 'yes') {
          expect(tier.add(name, keptYes(), always)).toBe(true);
          negatives.delete(question);
          audiences.add(audience);
        } else if (kind === 'no') {
          tier.addNegative(name, keptNo());
          negatives.add(question);
          audiences.delete(audience);
        } else {
          const { yes: found, no } = tier.get(name);
          expect(found !== undefined).toBe(audiences.has(audience));
          // Which no is forgotten first is of no matter: that both are there at once is.
          expect(no === undefined || negatives.has(question)).toBe(true);
          expect(found !== undefined && no !== undefined).toBe(false);
        }
        order = order.filter(([each]) => each !== token);
        if (audiences.size > 0) order = [...order, [token, audiences] as [string, Set<string>]].slice(-3);
      }
    }),
    { numRuns: 1_000 },
  );
});
