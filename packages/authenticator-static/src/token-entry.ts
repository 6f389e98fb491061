import { z } from 'zod';
import { digestToken } from './token-set.ts';

const makesEntry = 'the command `token hash` makes an entry';

const text = z
  .string({ error: ({ input }) => (input === undefined ? 'is missing' : 'must be text: put it in quotes') })
  .min(1, 'must not be empty');

const emptyDigest = digestToken('').toString('hex');

const sha256 = z
  .string({
    error: ({ input }) => (input === undefined ? `is missing: ${makesEntry}` : 'must be text: put it in quotes'),
  })
  .regex(/^[0-9a-f]{64}$/i, `must be a SHA-256 digest, 64 hexadecimal digits: ${makesEntry}`)
  .transform((digest) => digest.toLowerCase())
  .refine((digest) => digest !== emptyDigest, `is the digest of an empty text, not of a token: ${makesEntry}`);

const time = z.iso
  .datetime({
    offset: true,
    error:
      'must be a date and time with its zone (RFC 3339), such as 2031-05-01T00:00:00Z or 2031-05-01T02:00:00+02:00',
  })
  .transform((value) => Date.parse(value));

/** Kubernetes requires lowercase keys: others do not survive impersonation and aggregation. */
const extra = z.record(
  z.string(),
  z.array(text, { error: 'must be a list: write example.com/team: [storage]' }),
  'must be a mapping of lowercase keys to lists',
);

const hasLowercaseKeys = (value: Record<string, unknown>): boolean =>
  Object.keys(value).every((key) => key !== '' && key === key.toLowerCase());

export interface TokenEntry {
  /** Lowercase. */
  readonly sha256: string;
  readonly username: string;
  readonly uid?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly audiences?: readonly string[] | undefined;
  /** Milliseconds since 1970. */
  readonly notBefore?: number | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | undefined;
  readonly description?: string | undefined;
}

const entry = z.strictObject(
  {
    sha256,
    username: text,
    uid: text.optional(),
    groups: z.array(text, { error: 'must be a list: write [developers]' }).optional(),
    extra: extra.refine(hasLowercaseKeys, 'must have lowercase keys, as Kubernetes requires').optional(),
    audiences: z.array(text, { error: 'must be a list: write [https://kubernetes.default.svc]' }).optional(),
    notBefore: time.optional(),
    expiresAt: time.optional(),
    description: text.optional(),
  },
  { error: 'must be a mapping with sha256 and username' },
);

/** An entry of a tokens file. Its messages name the problem and the fix, and quote no value. */
export const tokenEntrySchema: z.ZodType<TokenEntry> = entry.refine(
  ({ notBefore, expiresAt }) => notBefore === undefined || expiresAt === undefined || notBefore < expiresAt,
  {
    path: ['notBefore'],
    error: 'must be before expiresAt: otherwise the token is never valid',
  },
);

/** The message for an unknown key. It does not quote the key, which may be a token in the wrong place. */
export function unknownKeyMessage(key: string): string {
  return /token|secret|password|bearer/i.test(key)
    ? `this file must not contain tokens, only their digests under sha256: ${makesEntry}`
    : `unknown key: an entry has ${knownKeys.slice(0, -1).join(', ')} and ${knownKeys.at(-1)}`;
}

const knownKeys = Object.keys(entry.shape);
