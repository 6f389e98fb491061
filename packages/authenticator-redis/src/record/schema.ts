import { z } from 'zod';
import type { ReadRecord, TokenRecord } from './types.ts';

/** U+FFFD stands where bytes were not UTF-8: two names with different bytes would be one. */
const text = z
  .string({ error: ({ input }) => (input === undefined ? 'is missing' : 'must be text') })
  .min(1, 'must not be empty')
  .refine((value) => value.isWellFormed() && !value.includes('\uFFFD'), 'must be UTF-8');

const texts = z.array(text, { error: 'must be a list' });

const moment = z.iso
  .datetime({ offset: true, error: 'must be a date and time with its zone (RFC 3339), such as 2031-05-01T00:00:00Z' })
  .transform((value) => Date.parse(value));

/** kubernetes/apiserver pkg/authentication/user/user.go: other keys do not survive impersonation and aggregation. */
const extraKey = text.refine((key) => key === key.toLowerCase(), 'must have lowercase keys');

const extra = z
  .unknown()
  // zod leaves such a key out without a word.
  .refine((value) => !Object.hasOwn(Object(value), '__proto__'), 'must not have the key __proto__')
  .pipe(z.record(extraKey, texts, { error: 'must map lowercase keys to lists' }));

const fields = z.strictObject(
  {
    username: text,
    uid: text.optional(),
    groups: texts.optional(),
    extra: extra.optional(),
    audiences: texts.min(1, 'must not be empty: leave it out for a token without audiences').optional(),
    notBefore: moment.optional(),
    expiresAt: moment.optional(),
    issuedAt: moment.optional(),
    issuedBy: text.optional(),
    reason: text.optional(),
    revokedAt: moment.optional(),
    revokedBy: text.optional(),
    revokedReason: text.optional(),
  },
  { error: 'must be an object with username' },
);

const record: z.ZodType<TokenRecord> = fields
  .refine(({ notBefore, expiresAt }) => notBefore === undefined || expiresAt === undefined || notBefore < expiresAt, {
    path: ['notBefore'],
    error: 'must be before expiresAt',
  })
  .refine(
    ({ revokedAt, revokedBy, revokedReason }) => revokedAt !== undefined || (revokedBy ?? revokedReason) === undefined,
    {
      path: ['revokedAt'],
      error: 'must be there when revokedBy or revokedReason is',
    },
  );

/** In the order in which they are written. */
export const fieldNames: readonly string[] = Object.keys(fields.shape);

/**
 * Reads a record whose values have their types already. Strict: a misspelt `expiresAt` would make a token without an
 * end. Fields that begin with `x-` belong to other systems and are passed over.
 */
export function readRecord(value: unknown): ReadRecord {
  const result = record.safeParse(withoutForeignFields(value));
  if (result.success) return { record: result.data };
  const [issue] = result.error.issues;
  return { fault: issue === undefined ? 'is bad' : describe(issue) };
}

function withoutForeignFields(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !name.startsWith('x-')));
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return unknownField(issue.keys);
  const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  // Below `extra` the path goes on with what is in the record: only the field of ours is named.
  const [field] = issue.path;
  return field === undefined ? message : `${String(field)} ${message}`;
}

/** A name that looks like one is quoted; anything else may be a token that somebody wrote in the wrong place. */
function unknownField(names: readonly string[]): string {
  const quotable = names.find((name) => /^[A-Za-z][A-Za-z0-9_.-]{0,23}$/.test(name));
  const which = quotable === undefined ? '' : ` ${quotable}`;
  return `has an unknown field${which}: a record has ${fieldNames.join(', ')}; others begin with x-`;
}
