import { type Complain, section, value } from '@sallyport/authenticator/options';
import type { z } from 'zod';
import type { ConnectionOptions } from '../connection/types.ts';
import { isClearText, parseUrl, type ServerUrl, type SocketUrl, urlPattern } from './server-url.ts';
import { secret, settleUrl, word } from './servers.ts';

export interface AdminKeys {
  readonly url?: ServerUrl | SocketUrl | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

export const adminSchema: z.ZodType<AdminKeys> = section(
  {
    url: value(
      {
        description: 'The server with a user who may write, as { env: NAME } or { file: path }. Left out: as above.',
        pattern: urlPattern,
      },
      parseUrl,
    ).optional(),
    username: word('The ACL user who may write.', 'sallyport-admin').optional(),
    password: secret("That user's password", 'REDIS_ADMIN_PASSWORD').optional(),
  },
  '{ url: { env: REDIS_ADMIN_URL } }',
  (keys, complain): AdminKeys => {
    if (keys.url === undefined && keys.username === undefined && keys.password === undefined) {
      complain(['url'], 'must name a url, or username and password: write { env: REDIS_ADMIN_URL }');
    }
    return keys;
  },
).describe(
  'How `sallyport token create|list|revoke` reach Redis, when the user of the gateway may only read. The gateway itself never uses it.',
);

/** Where the verbs connect: as the gateway does, but for what `admin` says. */
export function settleAdmin(
  admin: AdminKeys | undefined,
  connection: ConnectionOptions,
  { database, insecure }: { readonly database?: number | undefined; readonly insecure?: boolean | undefined },
  complain: Complain,
): ConnectionOptions {
  if (admin === undefined) return connection;
  const { url } = admin;
  if (url !== undefined && isClearText(url) && insecure !== true) {
    complain(['admin', 'url'], 'is reached in clear text: write rediss://, or insecure: true beside admin');
  }
  for (const key of ['username', 'password'] as const) {
    if (admin[key] !== undefined && url?.[key] !== undefined)
      complain(['admin', key], 'stands in the url too: keep one');
  }
  const username = admin.username ?? url?.username;
  const password = admin.password ?? url?.password;
  if (username !== undefined && password === undefined) {
    complain(['admin', 'password'], 'must stand beside username: write { env: REDIS_ADMIN_PASSWORD }');
  }
  const { servers, tls, commandTimeout } = connection;
  return {
    servers: url === undefined ? servers : settleUrl(url, database),
    tls,
    commandTimeout,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  };
}
