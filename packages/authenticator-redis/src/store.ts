import { hash } from 'node:crypto';
import type { PluginContext } from '@sallyport/authenticator';
import { type Connection, type ConnectionOptions, connect, type Wording } from '@sallyport/redis-connection';
import { type Layout, layouts } from './layouts.ts';
import type { RedisOptions } from './options.ts';

/** The tokens of one authenticator in Redis. */
export interface Store {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly layout: Layout;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** @throws Error when a TLS file can't be used */
export async function openStore(
  { keyPrefix, layout }: RedisOptions,
  connectionOptions: ConnectionOptions,
  context: PluginContext,
  now: () => number,
): Promise<Store> {
  const connection = await connect(connectionOptions, wording, context);
  return { connection, keys: keysOf(keyPrefix), layout: layouts[layout], now };
}

export const wording: Wording = {
  leastAcl: 'the least one in the README',
  wrongType: 'than layout says',
  consequence: 'tokens cannot be checked',
};

export interface Keys {
  /** The key of a record. */
  record(digest: string): string;
  /** The key of the time of the last use. */
  lastUse(digest: string): string;
  /** The key of the index of a user's sessions. */
  sessionsOf(username: string): string;
  /** The digest in the key of a record; undefined for all other keys. */
  digestOf(key: string): string | undefined;
  /** A pattern for MATCH of SCAN: all keys of tokens whose digest begins so, and some others. */
  pattern(digestStart: string): string;
}

/** The key of a record is the prefix and the SHA-256 of the token, nothing else, so that other systems can write it. */
export function keysOf(prefix: string): Keys {
  const record = (digest: string) => prefix + digest;
  return {
    record,
    lastUse: (digest) => `${record(digest)}:last-use`,
    sessionsOf: (username) => `${prefix}sessions:${hash('sha256', username, 'hex')}`,
    digestOf(key) {
      const digest = key.slice(prefix.length);
      return key.startsWith(prefix) && /^[0-9a-f]{64}$/.test(digest) ? digest : undefined;
    },
    // These characters have a meaning in patterns: https://redis.io/docs/latest/commands/keys/
    pattern: (digestStart) => `${prefix.replace(/[*?[\]\\^-]/g, '\\$&')}${digestStart}*`,
  };
}
