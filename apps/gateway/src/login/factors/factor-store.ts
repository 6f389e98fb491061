import { createHash } from 'node:crypto';
import { knownMasters, RedisProblem, readValue, stringUpTo } from '@sallyport/redis-connection';
import { z } from 'zod';
import { openText, sealText } from '../../engine/sealing/seal.ts';
import { readReply } from '../../engine/shared-redis/read-reply.ts';
import type { SharedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { type FactorRecord, type FactorUser, hasFactor, parseRecord } from './factor-record.ts';

/** The maximum size of a record. Its factors are few, and their names are short. */
const maxBytes = 64 * 1024;
/** How often a change begins again because another one came between. */
const maxConflicts = 20;

const sealedFor = 'second factors';

/** A pattern of the names of records. `sallyport check` tries other names. */
const anyDigest = '[0-9a-f]'.repeat(64);

/**
 * Replaces a record, if it is still the same. KEYS: the user. ARGV: the record as it was, the new one, and its time to live in
 * milliseconds; '' for no record, 0 for no end. GETRANGE needs no right that other uses of that Redis lack.
 */
export const replaceScript = `
if redis.call('GETRANGE', KEYS[1], 0, -1) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
elseif ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`;

const isDone = z.union([z.literal(0), z.literal(1)]).transform((reply) => reply === 1);

/** A record that no gateway with these sealing keys wrote for this user. It is never taken for "no second factor". */
export class ForeignRecordError extends Error {
  override readonly name = 'ForeignRecordError';
}

/** The record of a user, as it is in Redis. */
interface StoredRecord {
  readonly record: FactorRecord | undefined;
  /** '' if there is none. */
  readonly sealed: string;
  /** Whether another key than the first one has sealed it. */
  readonly hasOlderKey: boolean;
}

/** A record as a list shows it. */
export interface ListedRecord extends Pick<StoredRecord, 'record' | 'hasOlderKey'> {
  /** Its key in Redis. Without `record` it can't be read, and may be of any user. */
  readonly key: string;
}

/** What a change makes of a record. */
export interface Change<Result> {
  /** Undefined: the record stays as it is. */
  readonly record?: FactorRecord | undefined;
  readonly result: Result;
}

export type FactorStore = ReturnType<typeof createFactorStore>;

/** What identifies a user for as long as the directory has them: the uid, or else the name. */
export type Identity = Pick<FactorUser, 'authenticator' | 'username' | 'uid'>;

/** Returns the name of the record of a user. Only the gateways can tell which user it is. */
export function digestIdentity({ authenticator, username, uid }: Identity): string {
  const identity = [authenticator, ...(uid === undefined ? ['name', username] : ['uid', uid])];
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex');
}

function sealRecord(
  [key]: SharedRedis['sealingKeys'],
  digest: string,
  record: FactorRecord,
): string {
  if (key === undefined) throw new Error('there is no key to seal a second factor');
  const json = JSON.stringify(record);
  const sealed = sealText(key, sealedFor, digest, json);
  // The user would be refused until a reset.
  if (sealed.length > maxBytes || parseRecord(json) === undefined)
    throw new Error('the new record of the second factor could not be read again');
  return sealed;
}

/**
 * Keeps the second factors in a Redis that all replicas share, sealed for their user: who can write there can neither make a
 * record nor move one to another user. Who can restore an older record of a user there can undo its changes.
 *
 * @param redis with `cache.redis.sealingKeys`: the first key seals, all open. A call has the deadline of a command: a person waits for
 *   it, not a review
 * @param now the wall clock in milliseconds
 */
export function createFactorStore(
  redis: Pick<SharedRedis, 'askWithin' | 'keyPrefix' | 'sealingKeys'>,
  now: () => number,
) {
  const prefix = `${redis.keyPrefix}factor:`;
  const ask = <Reply>(work: Parameters<typeof redis.askWithin<Reply>>[2]) =>
    redis.askWithin('factor', undefined, work);

  /** @returns '' if there is no record */
  async function readSealed(digest: string): Promise<string> {
    try {
      const { reply } = await ask((client) =>
        readValue(client, stringUpTo(maxBytes), prefix + digest),
      );
      return typeof reply === 'string' ? reply : '';
    } catch (error) {
      const isOtherType = error instanceof RedisProblem && error.kind === 'type';
      throw isOtherType ? new ForeignRecordError('has another type than text') : error;
    }
  }
  async function read(digest: string): Promise<StoredRecord> {
    const sealed = await readSealed(digest);
    if (sealed === '') return { record: undefined, sealed, hasOlderKey: false };
    const plain = redis.sealingKeys.map((key) => openText([key], sealedFor, digest, sealed));
    const index = plain.findIndex((text) => text !== undefined);
    const record = parseRecord(plain[index] ?? '');
    if (record !== undefined) return { record, sealed, hasOlderKey: index > 0 };
    throw new ForeignRecordError('was not written for this user by a gateway with these keys');
  }
  const readOwn = async (user: Identity) => (await read(digestIdentity(user))).record;
  function replace(digest: string, stored: string, record: FactorRecord): Promise<boolean> {
    const sealed = sealRecord(redis.sealingKeys, digest, record);
    // An invitation that no one accepts leaves nothing behind.
    const ttl = hasFactor(record) ? 0 : Math.max(1, (record.invitation?.until ?? 0) - now());
    return ask(async (client) =>
      readReply(isDone, await client.eval(replaceScript, 1, prefix + digest, stored, sealed, ttl)),
    );
  }
  return {
    /**
     * Reads the record of a user. A record of the same name without a uid is foreign to a user who has one.
     *
     * @throws ForeignRecordError
     * @throws RedisProblem when Redis can't be asked
     */
    async read(user: Identity): Promise<FactorRecord | undefined> {
      const record = await readOwn(user);
      if (record !== undefined || user.uid === undefined) return record;
      const { uid: _, ...named } = user;
      // With another `uid` in the config, no one would have a second factor any more.
      if ((await readSealed(digestIdentity(named))) === '') return undefined;
      throw new ForeignRecordError('was written when the directory gave no uid for this name');
    },
    /** Reads the record of exactly this user, as `read` does: with the uid, or with the name if there is none. */
    readOwn,
    /**
     * Changes the record of a user. If another change comes between, it decides again with the new record: so no code is used
     * twice, on whichever replicas.
     *
     * @param decide gets undefined if there is no record
     * @throws as `read`, and as `decide`
     */
    async change<Result>(
      user: FactorUser,
      decide: (record: FactorRecord | undefined) => Change<Result>,
    ): Promise<Result> {
      const digest = digestIdentity(user);
      for (let conflicts = 0; conflicts < maxConflicts; conflicts += 1) {
        const { record, sealed } = await read(digest);
        const { record: next, result } = decide(record);
        if (next === undefined) return result;
        // Commands find the record by the name that Kubernetes sees today.
        if (await replace(digest, sealed, { ...next, user })) return result;
      }
      throw new RedisProblem('server', 'the record of the second factor kept changing');
    },
    /** Removes the record of a user, whatever it is. @returns false if there was none */
    remove: (user: Identity): Promise<boolean> =>
      ask(async (client) => (await client.del(prefix + digestIdentity(user))) > 0),
    /** Lists all records, each once. */
    async *list(): AsyncGenerator<ListedRecord> {
      const listedKeys = new Set<string>();
      for (const node of await ask(knownMasters)) {
        let cursor = '0';
        do {
          const [next, keys] = await ask(() =>
            node.scan(cursor, 'MATCH', prefix + anyDigest, 'COUNT', 500),
          );
          cursor = next;
          // SCAN may return a key twice while Redis resizes its table of keys.
          const newKeys = keys.filter((key) => listedKeys.size < listedKeys.add(key).size);
          for (const key of newKeys) {
            const listed = await read(key.slice(prefix.length)).catch(undefinedIfForeign);
            if (listed === undefined) yield { key, record: undefined, hasOlderKey: false };
            // Without a record, it was removed since the scan.
            else if (listed.record !== undefined) {
              const { record, hasOlderKey } = listed;
              yield { key, record, hasOlderKey };
            }
          }
        } while (cursor !== '0');
      }
    },
  };
}

function undefinedIfForeign(error: unknown): undefined {
  if (error instanceof ForeignRecordError) return undefined;
  throw error;
}
