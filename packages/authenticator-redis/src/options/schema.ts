import {
  type Complain,
  choice,
  count,
  duration,
  longestDuration,
  parseText,
  section,
  settleTls,
  tlsShape,
  value,
} from '@sallyport/authenticator/options';
import type { z } from 'zod';
import type { ConnectionOptions } from '../connection/types.ts';
import { adminSchema, settleAdmin } from './admin.ts';
import { secret, serverShape, settleServers, word } from './servers.ts';
import { settleToken, tokenShapeKeys } from './token.ts';
import type { RedisOptions } from './types.ts';

const shape = {
  ...serverShape,
  username: word('The ACL user. Left out: the one of the url, else the default user.', 'sallyport').optional(),
  password: secret("The user's password", 'REDIS_PASSWORD').optional(),
  database: count('The number of the database. Not in a cluster.', 0, 9999).optional().meta({ default: 0 }),
  ...tlsShape('redis'),
  commandTimeout: duration('For each command, and for making a connection.', {
    least: { value: 50, text: '50ms' },
    most: { value: 30_000, text: '30s' },
  }).prefault('1s'),
  keyPrefix: value(
    { description: 'What stands before the SHA-256 in the key of each token.', minLength: 1, maxLength: 128 },
    (input) => {
      const parsed = parseText(input, 'sallyport:token:');
      if ('fault' in parsed || parsed.value.length <= 128) return parsed;
      return { fault: 'is too long', mend: 'write at most 128 characters, such as sallyport:token:' };
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
    { least: { value: 10_000, text: '10s' }, most: longestDuration },
  ).optional(),
  admin: adminSchema.optional(),
};

/** `options` of an authenticator of this plugin, secrets in place, made what the plugin works with. */
export const optionsSchema: z.ZodType<RedisOptions> = section(
  shape,
  '{ url: rediss://redis.example.com:6379 }',
  (keys, complain): RedisOptions | undefined => {
    const servers = settleServers(keys, complain);
    const token = settleToken(keys, complain);
    const login = settleLogin(keys, complain);
    const secure = servers?.secure === true || keys.admin?.url?.secure === true;
    const tls = settleTls(
      keys,
      { word: 'redis', spoken: servers === undefined || secure, mend: 'use rediss://' },
      complain,
    );
    if (servers === undefined) return undefined;
    const { commandTimeout, keyPrefix, layout, unknown, trackLastUse, admin } = keys;
    const connection: ConnectionOptions = { servers, ...login, tls, commandTimeout };
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

interface LoginKeys {
  readonly url?: { readonly username?: string; readonly password?: string } | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

function settleLogin(keys: LoginKeys, complain: Complain): Pick<ConnectionOptions, 'username' | 'password'> {
  const inUrl = keys.url ?? {};
  for (const key of ['username', 'password'] as const) {
    if (keys[key] !== undefined && inUrl[key] !== undefined) complain([key], 'stands in the url too: keep one');
  }
  const username = keys.username ?? inUrl.username;
  const password = keys.password ?? inUrl.password;
  if (username !== undefined && password === undefined) {
    complain(['password'], 'must stand beside username: write { file: secrets/redis } or { env: REDIS_PASSWORD }');
  }
  return { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
}
