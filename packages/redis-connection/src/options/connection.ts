import { type Complain, count, settleTls, type TlsKeys, type TlsShape, tlsShape } from '@sallyport/plugin-options';
import type { z } from 'zod';
import type { ConnectionOptions } from '../types.ts';
import { type LoginKeys, settleLogin } from './login.ts';
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

/** The keys that say where Redis is and how to log in there, each good by itself. */
export type ConnectionKeys = ServerKeys & LoginKeys & TlsKeys;

/** The same keys as a part of a `section`'s shape. */
export type ConnectionShape = ServerShape &
  TlsShape & {
    readonly username: z.ZodType<string | undefined>;
    readonly password: z.ZodType<string | undefined>;
    readonly database: z.ZodType<number | undefined>;
  };

export function connectionShape(terms: ClearTextTerms): ConnectionShape {
  return {
    ...serverShape(terms),
    username: word('The ACL user. Left out: the one of the url, else the default user.', 'sallyport').optional(),
    password: secret("The user's password", 'REDIS_PASSWORD').optional(),
    database: count('The number of the database. Not in a cluster.', 0, 9999).optional().meta({ default: 0 }),
    ...tlsShape('redis'),
  };
}

export interface ConnectionUse {
  /** Milliseconds. */
  readonly commandTimeout: number;
  /** As `connectionShape` has them. */
  readonly terms: ClearTextTerms;
  /**
   * Another server that the keys of TLS and `insecure` are for, too. That they do something for it is enough; whether
   * it may be reached in clear text is for who names it.
   */
  readonly another?: ServerUrl | SocketUrl | undefined;
}

/** The keys as a whole, by all rules. @returns undefined after a complaint */
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
