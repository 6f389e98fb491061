import { z } from 'zod';

/** The record of one token in Redis. Times are milliseconds since 1970. */
export type TokenRecord = z.output<typeof recordSchema>;

/** A valid record, or its problem, which names the field and the fix and quotes no value. */
export type CheckedRecord = { readonly record: TokenRecord } | { readonly problem: string };

/** No valid record is nearly as long, and all reviews would wait while a longer one is parsed. */
const maxCharacters = 65_536;

/** The maximum number of bytes that are read of a value: in UTF-8 a UTF-16 code unit has at most three. */
export const maxBytes = 3 * maxCharacters;

export const tooBig = { problem: `is too big: at most ${maxCharacters} characters are read` };

/** The problem of a value with this number of characters, if any. */
export const sizeProblem = (characters: number) =>
  characters <= maxCharacters ? undefined : tooBig;

/** U+FFFD replaces bytes that are not UTF-8, so names with different bytes could become the same. */
const text = z
  .string({ error: ({ input }) => (input === undefined ? 'is missing' : 'must be a string') })
  .min(1, 'must not be empty')
  .refine((value) => value.isWellFormed() && !value.includes('\uFFFD'), 'must be UTF-8');

const texts = z.array(text, { error: 'must be a list' });

const time = z.iso
  .datetime({
    offset: true,
    error: 'must be a date and time with its zone (RFC 3339), such as 2031-05-01T00:00:00Z',
  })
  .transform((value) => Date.parse(value));

/** Keys are lowercase: others do not survive impersonation (kubernetes/apiserver pkg/authentication/user/user.go). */
const extraKey = text.refine((key) => key === key.toLowerCase(), 'must have lowercase keys');

const extra = z
  .unknown()
  // zod drops such a key silently.
  .refine((value) => !Object.hasOwn(Object(value), '__proto__'), 'must not have the key __proto__')
  .pipe(z.record(extraKey, texts, { error: 'must map lowercase keys to lists' }));

const fields = z.strictObject(
  {
    username: text,
    uid: text.optional(),
    groups: texts.optional(),
    extra: extra.optional(),
    audiences: texts
      .min(1, 'must not be empty: leave it out for a token without audiences')
      .optional(),
    notBefore: time.optional(),
    expiresAt: time.optional(),
    issuedAt: time.optional(),
    issuedBy: text.optional(),
    reason: text.optional(),
    revokedAt: time.optional(),
    revokedBy: text.optional(),
    revokedReason: text.optional(),
    // The gateway writes this about a session. It is not read here.
    session: text.optional(),
    // Milliseconds without a use after which a session ends: its key gets this time to live again at each use.
    idle: z
      .int({ error: 'must be a whole number of milliseconds' })
      .positive('must be above 0')
      .optional(),
  },
  { error: 'must be an object with username' },
);

const recordSchema = fields
  .refine(
    ({ notBefore, expiresAt }) =>
      notBefore === undefined || expiresAt === undefined || notBefore < expiresAt,
    {
      path: ['notBefore'],
      error: 'must be before expiresAt',
    },
  )
  .refine(
    ({ revokedAt, revokedBy, revokedReason }) =>
      revokedAt !== undefined || (revokedBy ?? revokedReason) === undefined,
    { path: ['revokedAt'], error: 'is required with revokedBy and revokedReason' },
  )
  .refine(({ session, idle }) => (session === undefined) === (idle === undefined), {
    path: ['idle'],
    error: 'must be there with session, and not without it',
  });

/** The names of all fields, in the order in which they are written. */
export const fieldNames = Object.keys(fields.shape);

/**
 * Checks a parsed record. It is strict, since with a misspelt `expiresAt` a token would never expire. Fields that begin
 * with `x-` belong to other systems and are ignored.
 */
export function checkRecord(value: unknown): CheckedRecord {
  const result = recordSchema.safeParse(withoutForeignFields(value));
  if (result.success) return { record: result.data };
  const [issue] = result.error.issues;
  return { problem: issue === undefined ? 'is bad' : describe(issue) };
}

function withoutForeignFields(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !name.startsWith('x-')));
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return unknownField(issue.keys);
  const message =
    issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  // Below `extra`, the path has keys of the record. Only our own field is named.
  const [field] = issue.path;
  return field === undefined ? message : `${String(field)} ${message}`;
}

/** Quotes a name only if it looks like one. Anything else may be a token in the wrong place. */
function unknownField(names: readonly string[]): string {
  const quotable = names.find((candidate) => /^[A-Za-z][A-Za-z0-9_.-]{0,23}$/.test(candidate));
  const name = quotable === undefined ? '' : ` ${quotable}`;
  return `has an unknown field${name}: a record has ${fieldNames.join(', ')}; fields of other systems begin with x-`;
}

const timeFields: ReadonlySet<string> = new Set([
  'notBefore',
  'expiresAt',
  'issuedAt',
  'revokedAt',
]);

/** The fields of a record in the order in which they are written, with times as RFC 3339 in UTC. */
export function writtenFields(
  record: Partial<TokenRecord>,
): readonly (readonly [name: string, value: unknown])[] {
  const values = new Map(Object.entries(record));
  return fieldNames.flatMap((name) => {
    const value: unknown = values.get(name);
    if (value === undefined) return [];
    return [[name, timeFields.has(name) ? new Date(Number(value)).toISOString() : value] as const];
  });
}
