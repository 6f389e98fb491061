import { hash } from 'node:crypto';
import type { PluginContext } from '@sallyport/authenticator';
import {
  type ConnectionOptions,
  connect,
  type Redis,
  type RedisClient,
  type RedisConnection,
  RedisProblem,
  readValue,
  type Wording,
} from '@sallyport/redis-connection';
import { endOfKey } from './decide.ts';
import { type Layout, layouts } from './layouts.ts';
import type { RedisOptions } from './options.ts';
import type { TokenRecord } from './record.ts';

/** The tokens of one authenticator in Redis. */
export interface Store {
  readonly connection: RedisConnection;
  readonly keys: ReturnType<typeof makeKeys>;
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
  const connection = await connect(connectionOptions, storeWording, context);
  return { connection, keys: makeKeys(keyPrefix), layout: layouts[layout], now };
}

export const storeWording: Wording = {
  minimalAcl: 'docs/redis.md (Permissions)',
  wrongType: 'than layout says',
  consequence: "tokens can't be checked",
};

/** The key of a record is the prefix and the SHA-256 of the token, nothing else, so that other systems can write it. */
export function makeKeys(prefix: string) {
  const record = (digest: string) => prefix + digest;
  return {
    record,
    /** The key of the time of the last use. */
    lastUse: (digest: string) => `${record(digest)}:last-use`,
    /** The key of the index of a user's sessions. */
    userSessions: (username: string) => `${prefix}sessions:${hash('sha256', username, 'hex')}`,
    /** The digest in the key of a record; undefined for all other keys. */
    readDigest(key: string): string | undefined {
      const digest = key.slice(prefix.length);
      return key.startsWith(prefix) && /^[0-9a-f]{64}$/.test(digest) ? digest : undefined;
    },
    /**
     * A pattern for MATCH of SCAN: all keys of tokens whose digest begins so, and some others. The escaped characters have a
     * meaning there: https://redis.io/docs/latest/commands/keys/
     */
    pattern: (digestStart: string) => `${prefix.replace(/[*?[\]\\^-]/g, '\\$&')}${digestStart}*`,
  };
}

/** The record of a token in Redis, with the end of its key. */
export interface FoundRecord {
  readonly record: TokenRecord;
  /** When Redis deletes the record, milliseconds since 1970; undefined: never. */
  readonly keyExpiresAt: number | undefined;
  /** The value as Redis gave it. */
  readonly reply: unknown;
}

/** The problem of an invalid record. It quotes no value. */
interface BadRecord {
  readonly problem: string;
}

type StoreReply = FoundRecord | BadRecord | undefined;

/**
 * Reads the record of a token.
 *
 * @returns undefined when Redis has none
 * @throws RedisProblem
 * @throws the signal's reason when it is aborted
 */
export async function readRecord(
  digest: string,
  store: Store,
  signal: AbortSignal,
): Promise<StoreReply> {
  // The time before the command, since the time to live counts from a little later.
  const askedAt = store.now();
  try {
    return await store.connection.run((client) => readFrom(client, digest, store, askedAt), signal);
  } catch (error) {
    if (error instanceof RedisProblem && error.kind === 'type') return wrongType(store.layout);
    throw error;
  }
}

/**
 * Reads the records of several tokens in one round trip, in the order of the digests.
 *
 * @param node the node that has them. If it is left out, they are looked for on all nodes
 */
export async function readRecords(
  digests: readonly string[],
  store: Store,
  signal: AbortSignal,
  node?: Redis,
): Promise<readonly StoreReply[]> {
  const askedAt = store.now();
  return await store.connection.run((client) => {
    const reading = digests.map(async (digest) => {
      try {
        return await readFrom(node ?? client, digest, store, askedAt);
      } catch (error) {
        if (error instanceof Error && error.message.startsWith('WRONGTYPE'))
          return wrongType(store.layout);
        throw error;
      }
    });
    return Promise.all(reading);
  }, signal);
}

async function readFrom(
  client: RedisClient,
  digest: string,
  { layout, keys }: Store,
  askedAt: number,
): Promise<StoreReply> {
  const { reply, timeToLive } = await readValue(client, layout.query, keys.record(digest));
  const result = layout.read(reply);
  return result && { ...result, reply, keyExpiresAt: endOfKey(timeToLive, askedAt) };
}

const wrongType = ({ type }: Layout): BadRecord => ({
  problem: `is not a ${type}, as layout says`,
});

/** Ignores that another node of the cluster has the key's slot. This node answers, and the user may read. */
export function ignoreMoved(error: unknown): void {
  if (!(error instanceof Error) || !error.message.startsWith('MOVED ')) throw error;
}
