import { z } from 'zod';
import { wordIssue } from '../messages.ts';
import type { AuthenticatorCacheConfig, CacheLifetimes } from '../types.ts';
import { isObject } from '../unknown-keys.ts';
import { duration } from '../values.ts';

/** `cache` of an authenticator as it is written: what is left out follows from the file's and from its plugin. */
export type CacheSettings = {
  readonly [Key in keyof AuthenticatorCacheConfig]?: AuthenticatorCacheConfig[Key] | undefined;
};

type LifetimeShape = { readonly [Key in keyof CacheLifetimes]: z.ZodType<number> };

const day = {
  value: 86_400_000,
  text: '24h',
  why: 'a revocation must be remembered for as long as an answer could be kept',
};
const hour = {
  value: 3_600_000,
  text: '1h',
  why: 'whoever is let in again, or has a token that was tried before it was issued, waits that long',
};
const fixOfZero = 'write 500ms or more, or cache: off at the authenticators whose answers are not to be kept';

const lifetimes: LifetimeShape = {
  authenticatedTtl: duration('How long the answer that a token is good is kept; never beyond its own end.', {
    atMost: day,
    fixOfZero,
  }),
  rejectedTtl: duration('How long a refusal is kept.', { atMost: hour, fixOfZero }),
  unknownTtl: duration('How long it is kept that the authenticator does not know a token.', {
    atMost: hour,
    fixOfZero,
  }),
  staleTtl: duration(
    'How long beyond authenticatedTtl a good token passes while the authenticator can not check. 0: not at all.',
    { atMost: day, zero: true },
  ),
};

/** Of the file: for every authenticator whose answers are kept. */
export const fileLifetimes: { readonly [Key in keyof CacheLifetimes]: z.ZodPrefault<z.ZodType<number>> } = {
  authenticatedTtl: lifetimes.authenticatedTtl.prefault('5m'),
  rejectedTtl: lifetimes.rejectedTtl.prefault('30s'),
  unknownTtl: lifetimes.unknownTtl.prefault('10s'),
  staleTtl: lifetimes.staleTtl.prefault('10m'),
};

const keys: z.ZodType<CacheSettings> = z.strictObject({
  store: z
    .enum(['memory', 'shared'])
    .optional()
    .describe('memory: in this process. shared: in the Redis of cache.redis too. Left out: as its plugin has it.'),
  authenticatedTtl: lifetimes.authenticatedTtl.optional(),
  rejectedTtl: lifetimes.rejectedTtl.optional(),
  unknownTtl: lifetimes.unknownTtl.optional(),
  staleTtl: lifetimes.staleTtl.optional(),
});

/** `off` or keys and values. No union of zod: that tells the problems of keys at the place of the whole. */
export const authenticatorCache: z.ZodType<CacheSettings | 'off'> = z
  .unknown()
  .transform((input, context): CacheSettings | 'off' => {
    if (input === 'off') return 'off';
    if (input !== null && !isObject(input)) {
      const params = { fix: 'write off, or { authenticatedTtl: 1m }' };
      context.issues.push({ code: 'custom', message: 'must be off, or keys and values', params, input });
      return z.NEVER;
    }
    const result = keys.safeParse(input, { error: wordIssue });
    if (result.success) return result.data;
    for (const issue of result.error.issues) context.issues.push({ ...issue, path: [...issue.path], input } as never);
    return z.NEVER;
  })
  .meta({
    description: 'How its answers are kept. Left out: as its plugin and the cache of the file have it.',
    anyOf: [{ type: 'string', const: 'off' }, described(keys)],
  });

function described(schema: z.ZodType): object {
  const { $schema: _, ...described } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });
  return described;
}
