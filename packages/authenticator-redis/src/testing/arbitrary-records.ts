import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import type { TokenRecord } from '../record.ts';

/** Any text that a record may contain. */
const goodText: fc.Arbitrary<string> = fc
  .string({ unit: anyCharacter, minLength: 1, maxLength: 20 })
  .filter((text) => !text.includes('\uFFFD'));

const texts = fc.array(goodText, { maxLength: 4 });

/** RFC 3339 has years of four digits. */
const time = fc.integer({ min: Date.UTC(1900), max: Date.UTC(9999, 11, 31) });

const extraKey = goodText
  .map((text) => text.toLowerCase())
  .filter((key) => key === key.toLowerCase() && key !== '__proto__');

const lifetime = fc
  .tuple(fc.option(time, { nil: undefined }), fc.option(time, { nil: undefined }))
  .filter(
    ([notBefore, expiresAt]) =>
      notBefore === undefined || expiresAt === undefined || notBefore < expiresAt,
  )
  .map(([notBefore, expiresAt]) => ({ notBefore, expiresAt }));

const revocation = fc.oneof(
  fc.constant({}),
  fc.record(
    { revokedAt: time, revokedBy: goodText, revokedReason: goodText },
    { requiredKeys: ['revokedAt'] },
  ),
);

const rest = fc.record(
  {
    username: goodText,
    uid: goodText,
    groups: texts,
    extra: fc.dictionary(extraKey, texts, { maxKeys: 3 }),
    audiences: fc.array(goodText, { minLength: 1, maxLength: 3 }),
    issuedAt: time,
    issuedBy: goodText,
    reason: goodText,
  },
  { requiredKeys: ['username'] },
);

const session = fc.oneof(
  fc.constant({}),
  fc.record({ session: goodText, idle: fc.integer({ min: 1 }) }),
);

/** Any valid record. */
export const goodRecord: fc.Arbitrary<TokenRecord> = fc
  .tuple(rest, lifetime, revocation, session)
  .map((parts) => Object.assign({}, ...parts));
