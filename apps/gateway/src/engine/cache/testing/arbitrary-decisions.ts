import type { Authenticated, Decision } from '@sallyport/authenticator';
import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { readDecision } from '../../chain/decision.ts';

/** Any text that a valid decision may have: NUL, quotes, separators of lines, letters beyond the first plane. */
const text = fc.oneof(
  fc.string({ unit: anyCharacter, maxLength: 12 }).filter((one) => one.isWellFormed()),
  fc.constantFrom(
    '',
    'jane',
    '__proto__',
    'constructor',
    '\u0000',
    '"\\',
    '\u2028',
    '\uFEFF',
    '\uFFFD',
    '\u{1F600}',
  ),
);
const texts = fc.array(text, { maxLength: 4 });

/**
 * V8 14.6 takes a key that is written with an escape for an earlier key that ends with a backslash: after `JSON.parse('{"a":1,"\\\\":1}')`,
 * `JSON.parse('{"a":1,"\\u0019":1}')` has the keys `a` and `\`.
 */
const key = text.filter((one) => !one.includes('\\'));

const extra = fc
  .array(fc.tuple(key, texts), { maxLength: 4 })
  // fromEntries defines own properties: assigned, `__proto__` would not become a key.
  .map((entries) => Object.fromEntries(entries));

const user = fc.record(
  { username: text, uid: text, groups: texts, extra },
  { requiredKeys: ['username'], noNullPrototype: true },
);

const credential = fc.record({ jti: text, sid: text }, { requiredKeys: [], noNullPrototype: true });

const end = fc.oneof(
  fc.date({ noInvalidDate: true }),
  fc.constantFrom(new Date(0), new Date(-1), new Date(8.64e15), new Date(-8.64e15)),
);

/** Any positive decision that `engine/chain/decision.ts` lets through, as it makes it. */
export const anyPositive: fc.Arbitrary<Authenticated> = fc
  .record(
    {
      kind: fc.constant('authenticated' as const),
      user,
      credential,
      audiences: texts,
      expiresAt: end,
    },
    { requiredKeys: ['kind', 'user'], noNullPrototype: true },
  )
  .map((value) => asPositive(readDecision(value)));

function asPositive(decision: Decision): Authenticated {
  if (decision.kind === 'authenticated') return decision;
  throw new Error(`not authenticated: ${decision.kind}`);
}
