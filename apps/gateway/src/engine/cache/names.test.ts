import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createHmacSha256 } from '../sealing/hmac.ts';
import { createPrivateNames, nameAnswer, nameUser, type Question } from './names.ts';
import { recordFormat } from './record.ts';

const key = randomBytes(32);

/** Few letters, so that lists meet often; with lone surrogates and a NUL, which encodings like to make one of. */
const text = fc
  .array(
    fc.constantFrom('a', 'b', '\u0000', ',', '\uD800', '\uDC00', '\uFFFD', '\u00e9', 'e\u0301'),
    { maxLength: 4 },
  )
  .map((letters) => letters.join(''));
const audiences = fc.array(text, { maxLength: 4 });
const question: fc.Arbitrary<Question> = fc.record({ token: text, audiences, fingerprint: text });

const asSet = (list: readonly string[]) => JSON.stringify([...new Set(list)].sort());
const canonical = (one: Question) =>
  JSON.stringify([one.fingerprint, one.token, asSet(one.audiences)]);

/** Makes questions that differ in one part only, which are the easiest to mistake for each other. */
const pair = fc.oneof(
  fc.tuple(question, question),
  fc.tuple(question, text).map(([one, token]) => [one, { ...one, token }] as const),
  fc.tuple(question, audiences).map(([one, other]) => [one, { ...one, audiences: other }] as const),
  fc.tuple(question, text).map(([one, fingerprint]) => [one, { ...one, fingerprint }] as const),
  // A letter that moves over a border makes another list.
  question.map(
    (one) => [one, { ...one, token: one.token + one.audiences.join(''), audiences: [] }] as const,
  ),
  question.map((one) => [one, { ...one, audiences: [one.audiences.join('')] }] as const),
  question.map((one) => [one, { ...one, token: one.fingerprint, fingerprint: one.token }] as const),
  question.map(
    (one) =>
      [
        one,
        { ...one, audiences: one.audiences.slice(1), token: one.token + one.audiences[0] },
      ] as const,
  ),
);

describe('the name of a cached answer', () => {
  test('is the same for the same question and another for every other', () => {
    fc.assert(
      fc.property(pair, ([one, other]) => {
        expect(nameAnswer(key, one) === nameAnswer(key, other)).toBe(
          canonical(one) === canonical(other),
        );
      }),
      { numRuns: 3_000 },
    );
  });

  test('counts neither the order of audiences nor repeats', () => {
    fc.assert(
      fc.property(question, fc.array(fc.nat(10)), (one, order) => {
        const { audiences: list } = one;
        const mixed = [
          ...list,
          ...order.flatMap((at) => list.slice(at, at + 1)),
          ...list,
        ].reverse();
        expect(nameAnswer(key, { ...one, audiences: mixed })).toBe(nameAnswer(key, one));
      }),
    );
  });

  test('is another under another key, and of one length, so that it reveals nothing of the token', () => {
    fc.assert(
      fc.property(question, (one) => {
        expect(nameAnswer(key, one)).toMatch(/^[\w-]{43}$/);
        expect(nameAnswer(key, one)).not.toBe(nameAnswer(randomBytes(32), one));
      }),
    );
  });
});

test('the name of a user is the same for the same user, and another for every other', () => {
  const user = fc.record({ fingerprint: text, username: text });
  fc.assert(
    fc.property(user, user, (one, other) => {
      expect(nameUser(key, one)).toMatch(/^[\w-]{43}$/);
      const isSame = one.fingerprint === other.fingerprint && one.username === other.username;
      expect(nameUser(key, one) === nameUser(key, other)).toBe(isSame);
    }),
    { numRuns: 2_000 },
  );
});

test('names in Redis are HMACs that contain the format of the records', () => {
  const [token, username, fingerprint] = ['t', 'jane', 'f'];
  const hmac = (...texts: readonly unknown[]) => createHmacSha256(key)(JSON.stringify(texts));
  expect(nameAnswer(key, { token, fingerprint, audiences: ['b', 'a'] })).toBe(
    hmac(recordFormat, fingerprint, token, 'a', 'b'),
  );
  expect(nameUser(key, { fingerprint, username })).toBe(hmac(recordFormat, fingerprint, username));
});

describe('the name of an answer in the memory of a replica', () => {
  const nameOf = createPrivateNames();
  const fingerprints = fc.constantFrom('one', 'one users of tokens', '', '1 1');
  const asked = fc.record({
    fingerprint: fingerprints,
    token: fc.oneof(text, fingerprints, fc.constantFrom('jane', 'jane 1', 'a'.repeat(257))),
    audiences: fc.oneof(fc.constant([]), audiences),
    isName: fc.boolean(),
  });

  test('is the same for the same question and another for every other, in which none begins', () => {
    fc.assert(
      fc.property(asked, asked, (one, other) => {
        const isSame = canonical(one) === canonical(other) && one.isName === other.isName;
        const [first, second] = [nameOf(one), nameOf(other)];
        // Who is asked about by a long name, or for audiences, has the name of a token.
        const isHashed = [first, second].every((name) => !name.includes(' '));
        expect(first === second).toBe(isHashed ? canonical(one) === canonical(other) : isSame);
        if (first !== second) expect(second.startsWith(first)).toBe(false);
      }),
      { numRuns: 3_000 },
    );
  });

  test('contains no token, and no name of more than 256 characters', () => {
    const question = { audiences: [], fingerprint: 'one' };
    const secret = 's3cret';
    expect(nameOf({ ...question, token: secret })).toMatch(/^[\w-]{43}$/);
    expect(nameOf({ ...question, token: 'jane', isName: true })).toContain('jane');
    const long = 'j'.repeat(257);
    expect(nameOf({ ...question, token: long, isName: true })).toMatch(/^[\w-]{43}$/);
  });
});
