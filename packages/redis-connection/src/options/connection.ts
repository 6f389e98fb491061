import { type Complain, count, settleTls, type TlsKeys, type TlsShape, tlsShape } from '@sallyport/plugin-options';
import type { z } from 'zod';
import type { ConnectionOptions } from '../connection-options.ts';
import type { ServerUrl, SocketUrl } from './server-url.ts';
import {
  type ClearTextTerms,
  type ServerKeys,
  type ServerShape,
  secret,
  serverShape,
  settleServers,
  word,
} from './servers.ts';

/** The keys for the address of Redis and the login, each valid by itself. */
type ConnectionKeys = ServerKeys & LoginKeys & TlsKeys;

/** The same keys as a part of a `section`'s shape. */
type ConnectionShape = ServerShape &
  TlsShape & {
    readonly username: z.ZodType<string | undefined>;
    readonly password: z.ZodType<string | undefined>;
    readonly database: z.ZodType<number | undefined>;
  };

export function connectionShape(terms: ClearTextTerms): ConnectionShape {
  return {
    ...serverShape(terms),
    username: word('The ACL user. Left out: the one of the url, otherwise the default user.', 'sallyport').optional(),
    password: secret("The user's password", 'REDIS_PASSWORD').optional(),
    database: count('The number of the database. Not in a cluster.', 0, 9999).optional().meta({ default: 0 }),
    ...tlsShape('redis'),
  };
}

interface ConnectionUse {
  /** Milliseconds. */
  readonly commandTimeout: number;
  /** As for `connectionShape`. */
  readonly terms: ClearTextTerms;
  /**
   * Another server that uses the keys of TLS and `insecure`, so they have an effect. The caller decides whether it may be
   * reached in clear text.
   */
  readonly another?: ServerUrl | SocketUrl | undefined;
}

/** Checks the keys together. @returns undefined after a complaint */
export function settleConnection(
  keys: ConnectionKeys,
  { commandTimeout, terms, another }: ConnectionUse,
  complain: Complain,
): ConnectionOptions | undefined {
  const servers = settleServers(keys, terms, another, complain);
  const login = settleLogin(keys, 'write { file: secrets/redis } or { env: REDIS_PASSWORD }', complain);
  const spoken = servers === undefined || servers.secure || another?.secure === true;
  const tls = settleTls(keys, { word: 'redis', spoken, fix: 'use rediss://' }, complain);
  return servers && { servers, ...login, tls, commandTimeout };
}

interface LoginKeys {
  readonly url?: { readonly username?: string; readonly password?: string } | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** The login of the keys or of the url. @param fix what to write where the password is missing */
export function settleLogin(
  keys: LoginKeys,
  fix: string,
  complain: Complain,
): Pick<ConnectionOptions, 'username' | 'password'> {
  const inUrl = keys.url ?? {};
  for (const key of ['username', 'password'] as const) {
    if (keys[key] !== undefined && inUrl[key] !== undefined) complain([key], 'is in the url too: keep one');
  }
  const username = keys.username ?? inUrl.username;
  const password = keys.password ?? inUrl.password;
  if (username !== undefined && password === undefined) {
    complain(['password'], `is required with username: ${fix}`);
  }
  return { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
}
