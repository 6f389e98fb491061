import {
  type Complain,
  choice,
  duration,
  parsePattern,
  parseText,
  section,
  text,
  value,
} from '@sallyport/plugin-kit';
import type { ConnectionOptions } from '@sallyport/redis-connection';
import {
  connectionShape,
  isClearText,
  redisSecret,
  serverUrl,
  settleConnection,
  settleLogin,
  settleUrl,
} from '@sallyport/redis-connection/options';
import { RE2JS } from 're2js';
import type { z } from 'zod';

/** The options after all checks. Times are milliseconds. */
export type RedisOptions = z.output<typeof optionsSchema>;

const adminSchema = section(
  {
    url: serverUrl(
      'The server with a user who may write, as { env: NAME } or { file: path }. Default: as above.',
    ).optional(),
    username: text('The ACL user who may write.', 'sallyport-admin').optional(),
    password: redisSecret("That user's password", 'REDIS_ADMIN_PASSWORD').optional(),
  },
  '{ url: { env: REDIS_ADMIN_URL } }',
  (keys, complain) => {
    if (keys.url === undefined && keys.username === undefined && keys.password === undefined) {
      complain(
        ['url'],
        'is missing, and so are username and password',
        'write { env: REDIS_ADMIN_URL }',
      );
    }
    return keys;
  },
).describe(
  'How `sallyport token create`, `token list` and `revoke` connect to Redis, when the user of the gateway may only read. The gateway itself never uses it.',
);

/** The connection of the commands: the connection of the gateway, with the changes of `admin`. */
function settleAdmin(
  admin: z.output<typeof adminSchema> | undefined,
  connection: ConnectionOptions,
  { database, insecure }: z.output<z.ZodObject<Pick<typeof shape, 'database' | 'insecure'>>>,
  complain: Complain,
): ConnectionOptions {
  if (admin === undefined) return connection;
  const { url } = admin;
  if (url !== undefined && isClearText(url) && insecure !== true) {
    complain(
      ['admin', 'url'],
      'uses clear text',
      'write rediss://, or insecure: true next to admin',
    );
  }
  const login = settleLogin(admin, 'write { env: REDIS_ADMIN_PASSWORD }', (path, problem, fix) =>
    complain(['admin', ...path], problem, fix),
  );
  const { servers, tls, commandTimeout } = connection;
  return {
    servers: url === undefined ? servers : settleUrl(url, database),
    tls,
    commandTimeout,
    ...login,
  };
}

const terms = {
  risk: 'anyone on the network can see who has tokens, and can answer that a token is valid',
  consent: 'anyone on the network may decide who gets in',
};

const shape = {
  ...connectionShape(terms),
  commandTimeout: duration('Time limit for each command and for a connection.', {
    min: '50ms',
    max: '30s',
  }).prefault('1s'),
  keyPrefix: value(
    {
      description: 'The string before the SHA-256 in the key of each token.',
      minLength: 1,
      maxLength: 128,
    },
    (input) => {
      const parsed = parseText(input, 'sallyport:token:');
      if ('problem' in parsed || parsed.value.length <= 128) return parsed;
      return {
        problem: 'is too long',
        fix: 'write at most 128 characters, such as sallyport:token:',
      };
    },
  ).prefault('sallyport:token:'),
  layout: choice('The format of records in Redis: a JSON string, or a hash.', [
    'json',
    'hash',
  ]).default('json'),
  tokenPrefix: value(
    {
      description:
        "The prefix of this authenticator's tokens, such as robot_, including those that `token create` makes. Without it and tokenPattern: sp_ with a checksum.",
      pattern: '^[!-~]{1,64}$',
    },
    (input) => {
      if (typeof input === 'string' && /^[!-~]{1,64}$/.test(input)) return { value: input };
      return { problem: 'must be visible ASCII, 1 to 64 characters', fix: 'write robot_' };
    },
  ).optional(),
  tokenPattern: value(
    {
      description:
        'A regular expression (RE2) that whole tokens issued elsewhere match, such as [A-Za-z0-9]{40}. With tokenPrefix, both must match.',
      minLength: 1,
    },
    // RE2, as in Go: its time is linear in the length of the token, so no token makes it backtrack.
    (input) =>
      parsePattern(input, RE2JS.compile, '[A-Za-z0-9]{40}', (prefix) => `tokenPrefix: ${prefix}`),
  ).optional(),
  unknown: choice(
    'The decision on a token without a record in Redis. no-opinion: the next authenticator is called.',
    ['no-opinion', 'rejected'],
  ).default('no-opinion'),
  trackLastUse: duration(
    'Store when a token was last used, at most once in this time, for `token list`. Default: the gateway writes nothing.',
    { min: '10s' },
  ).optional(),
  admin: adminSchema.optional(),
};

/** Checks the `options` of an authenticator, in which secrets are already replaced by their values. */
export const optionsSchema = section(
  shape,
  '{ url: rediss://redis.example.com:6379 }',
  (keys, complain) => {
    const { commandTimeout, keyPrefix, layout, tokenPattern, trackLastUse, admin } = keys;
    const use = { commandTimeout, terms, another: admin?.url };
    const connection = settleConnection(keys, use, complain);
    if (connection === undefined) return undefined;
    return {
      connection,
      keyPrefix,
      layout,
      unknown: keys.unknown,
      trackLastUse,
      // For the commands that create, list and revoke tokens.
      admin: settleAdmin(admin, connection, keys, complain),
      token: { prefix: keys.tokenPrefix, pattern: tokenPattern },
    };
  },
);
