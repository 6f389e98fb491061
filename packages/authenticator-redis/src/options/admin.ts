import { type Complain, section } from '@sallyport/plugin-options';
import type { ConnectionOptions } from '@sallyport/redis-connection';
import {
  isClearText,
  type ServerUrl,
  type SocketUrl,
  secret,
  serverUrl,
  settleLogin,
  settleUrl,
  word,
} from '@sallyport/redis-connection/options';
import type { z } from 'zod';

export interface AdminKeys {
  readonly url?: ServerUrl | SocketUrl | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

export const adminSchema: z.ZodType<AdminKeys> = section(
  {
    url: serverUrl(
      'The server with a user who may write, as { env: NAME } or { file: path }. Left out: as above.',
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
  'How `sallyport token create`, `token list` and `revoke` reach Redis, when the user of the gateway may only read. The gateway itself never uses it.',
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
  const login = settleLogin(admin, 'write { env: REDIS_ADMIN_PASSWORD }', (path, message) =>
    complain(['admin', ...path], message),
  );
  const { servers, tls, commandTimeout } = connection;
  return { servers: url === undefined ? servers : settleUrl(url, database), tls, commandTimeout, ...login };
}
