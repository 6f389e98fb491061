import { readValue, stringUpTo } from '@sallyport/redis-connection';
import type { Clocks } from '../clocks.ts';
import { open, seal } from '../sealing/seal.ts';
import type { SealingKey } from '../sealing/sealing-key.ts';
import type { SharedRedis } from '../shared-redis/types.ts';
import { type Kept, keep } from './kept.ts';
import { nameOf, nameOfUser, type Question } from './names.ts';
import { noteOfUser } from './note-of-user.ts';
import { decodeRecord, encodeRecord } from './record.ts';

/** What came of a look into Redis. `invalid`: what stood there must not be believed. */
export type Found = { readonly result: 'hit'; readonly kept: Kept } | { readonly result: 'miss' | 'invalid' | 'error' };

/** The cache that all replicas share. It holds each yes, sealed, and nothing else. */
export interface RedisTier {
  /** One round trip. */
  get(question: Question): Promise<Found>;
  /**
   * Behind the review. Drops what is too big to share, or has ended.
   *
   * @param lifetime milliseconds that it may be used from now on, at most
   */
  set(question: Question, kept: Kept, lifetime: number): void;
  /** Behind the review. */
  delete(question: Question): void;
}

/** Bytes. A user in a thousand groups with long names has less. */
const largestRecord = 256 * 1024;

/** What is longer was not written by `set`: in base64 three bytes are four, and sealing adds less than 64. */
const sealedRecord = stringUpTo(Math.ceil((largestRecord + 64) / 3) * 4);

export function createRedisTier(redis: SharedRedis, clocks: Clocks): RedisTier {
  const nameKeys = redis.sealingKeys.map((key) => key.derive('cache names'));
  const keyOf = (name: string) => `${redis.keyPrefix}cache:${name}`;
  const userKeyOf = (user: string) => `${redis.keyPrefix}cache-user:${user}`;
  // In rotation there are two keys, and a record may have been sealed under either: each has its own name for it.
  const names = (question: Question) => nameKeys.map((key) => nameOf(key, question));

  return {
    async get(question) {
      const wanted = names(question);
      try {
        const values = await redis.ask('cache', (client) =>
          Promise.all(wanted.map((name) => readValue(client, sealedRecord, keyOf(name)))),
        );
        return youngest(
          values.map(({ reply, timeToLive }, index) =>
            readRecord(reply, timeToLive, wanted[index] ?? '', redis.sealingKeys[index], clocks),
          ),
        );
      } catch {
        return { result: 'error' };
      }
    },
    set(question, kept, lifetime) {
      const [name] = names(question);
      const [key] = redis.sealingKeys;
      const { expiresAt } = kept.decision;
      const end = expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
      const keptFor = Math.floor(Math.min(lifetime, end - clocks.wall()));
      const plain = encodeRecord({ ...kept, keptFor });
      if (name === undefined || key === undefined || keptFor < 1 || plain.length > largestRecord) return;
      const sealed = seal(recordKey(key), name, plain).toString('base64');
      const { fingerprint } = question;
      const { username } = kept.decision.user;
      redis.tell('cache', async (client) => {
        // The record comes first: a replica that finds it to be one too many must not remove it before it is there.
        await client.set(keyOf(name), sealed, 'PX', keptFor);
        try {
          const user = userKeyOf(nameOfUser(userKey(key), { fingerprint, username }));
          const surplus = await noteOfUser(client, user, name, keptFor);
          await Promise.all(surplus.map((other) => client.del(keyOf(other))));
        } catch (error) {
          await client.del(keyOf(name));
          throw error;
        }
      });
    },
    delete(question) {
      const wanted = names(question).map(keyOf);
      redis.tell('cache', (client) => Promise.all(wanted.map((key) => client.del(key))));
    },
  };
}

function userKey(key: SealingKey): Uint8Array {
  return key.derive('cache users');
}

function recordKey(key: SealingKey): Uint8Array {
  return key.derive('cache records');
}

function readRecord(
  reply: unknown,
  timeToLive: unknown,
  name: string,
  key: SealingKey | undefined,
  clocks: Clocks,
): Found {
  if (typeof reply !== 'string' || key === undefined) return { result: 'miss' };
  const sealed = Buffer.from(reply, 'base64');
  // Base64 is read leniently: what differs from what `set` wrote was not written by it.
  const plain = sealed.toString('base64') === reply ? open(recordKey(key), name, sealed) : undefined;
  const record = plain && decodeRecord(plain);
  if (record === undefined) return { result: 'invalid' };
  // By Redis' clock, which is the same for all replicas. Without an end, or with a later one, the key is not as it was.
  const isOurs = typeof timeToLive === 'number' && timeToLive >= 0 && timeToLive <= record.keptFor;
  const left = isOurs ? timeToLive : 0;
  return { result: 'hit', kept: keep(record, clocks, { age: Math.max(0, record.keptFor - left), left }) };
}

function youngest(found: readonly Found[]): Found {
  const hits = found.filter((one) => one.result === 'hit');
  const [first] = hits.sort((one, other) => other.kept.answeredMonotonic - one.kept.answeredMonotonic);
  return first ?? found.find(({ result }) => result === 'invalid') ?? { result: 'miss' };
}
