import { choice, duration, parseText, section, value } from '@sallyport/plugin-options';
import { connectionShape, settleConnection } from '@sallyport/redis-connection/options';
import type { z } from 'zod';
import { adminSchema, settleAdmin } from './admin.ts';
import { settleToken, tokenShapeKeys } from './token.ts';
import type { RedisOptions } from './types.ts';

const terms = {
  risk: 'whoever is on the wire learns who has tokens, and can answer that one is good',
  consent: 'everybody on the wire may say who is who',
};

const shape = {
  ...connectionShape(terms),
  commandTimeout: duration('For each command, and for making a connection.', {
    least: '50ms',
    most: '30s',
  }).prefault('1s'),
  keyPrefix: value(
    { description: 'What stands before the SHA-256 in the key of each token.', minLength: 1, maxLength: 128 },
    (input) => {
      const parsed = parseText(input, 'sallyport:token:');
      if ('problem' in parsed || parsed.value.length <= 128) return parsed;
      return { problem: 'is too long', fix: 'write at most 128 characters, such as sallyport:token:' };
    },
  ).prefault('sallyport:token:'),
  layout: choice('How a record stands in Redis: one JSON string, or a hash of fields.', ['json', 'hash']).default(
    'json',
  ),
  ...tokenShapeKeys,
  unknown: choice('What a token is that Redis has no record of. no-opinion: the next authenticator is asked.', [
    'no-opinion',
    'rejected',
  ]).default('no-opinion'),
  trackLastUse: duration(
    'Note in Redis when a token was used, so often at most, for `token list`. Left out: the gateway writes nothing.',
    { least: '10s' },
  ).optional(),
  admin: adminSchema.optional(),
};

/** `options` of an authenticator of this plugin, secrets in place, made what the plugin works with. */
export const optionsSchema: z.ZodType<RedisOptions> = section(
  shape,
  '{ url: rediss://redis.example.com:6379 }',
  (keys, complain): RedisOptions | undefined => {
    const { commandTimeout, keyPrefix, layout, unknown, trackLastUse, admin } = keys;
    const connection = settleConnection(keys, { commandTimeout, terms, another: admin?.url }, complain);
    const token = settleToken(keys, complain);
    if (connection === undefined) return undefined;
    return {
      connection,
      admin: settleAdmin(admin, connection, keys, complain),
      keyPrefix,
      layout,
      token,
      unknown,
      ...(trackLastUse !== undefined && { trackLastUse }),
    };
  },
);
