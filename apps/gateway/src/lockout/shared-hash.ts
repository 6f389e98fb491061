import type { AttemptOutcome } from '@sallyport/authenticator';
import { type RedisClient, RedisProblem } from '@sallyport/redis-connection';
import type { LockoutConfig } from '../config/types.ts';
import type { SharedRedis } from '../shared-redis/types.ts';
import { createFingerprint } from './fingerprint.ts';
import { noteName, subjectDigest, subjectKey } from './shared-names.ts';
import { createRecords, knownField, type SharedRecords, tolerance, tryField } from './shared-records.ts';
import { changeScript, takeScript } from './shared-scripts.ts';

/** What goes out, in clear: it stays in this process. */
export interface Tried {
  readonly authenticator: string;
  readonly name: string;
  readonly password: string;
  /** As a decision would have it: for the list of those who have refused tries. */
  readonly username: string;
}

export interface SharedHashDependencies {
  readonly settings: () => LockoutConfig;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly abandonedAfter: number;
  /** Redis' milliseconds less monotonic ones, as the last reply had it. All tries learn it from each other. */
  readonly redisClock: { offset: number };
  /** Called with how many records were removed that no gateway with these keys wrote. */
  readonly onForeign: (records: number) => void;
}

/** What was there before the slot of the try, and whether it has one. */
interface Taken extends SharedRecords {
  readonly hasSlot: boolean;
}

/** What all replicas know of the tries of one subject, for a try with one secret. */
export interface SharedHash {
  /** Digests of the secret. The first is the one to write, the others are those of other sealing keys. */
  readonly secrets: readonly string[];
  /** Redis' milliseconds of a moment. */
  redisTime(monotonic: number): number;
  /**
   * Takes a slot, if one is free, and reads what was there before.
   *
   * @param limit how many other records of tries there may be, whoever wrote them; `any`: it takes a slot in any case
   * @param timeLimit milliseconds; undefined: `redis.timeout`
   * @returns undefined when the time of the record was wrong, so that others do not believe it: take it once more
   * @throws RedisProblem
   */
  take(id: string, limit: number | 'any', timeLimit: number | undefined): Promise<Taken | undefined>;
  /** Gives the slot back, or counts it; counts a try without a slot as well. No one waits for it. */
  settle(id: string, outcome: AttemptOutcome): void;
}

/** Milliseconds. Of a secret that is not used for so long, no one needs to be sure of a try at any time. */
const knownFor = 30 * 24 * 60 * 60 * 1000;
/** Of one subject: a password, and as many more as a directory takes beside it (tokens of applications, say). */
const maxKnown = 8;
/** Fields that a hash may have, beside two for each refused try that is allowed. */
const spareFields = 256;

export function createSharedHash(redis: SharedRedis, tried: Tried, dependencies: SharedHashDependencies): SharedHash {
  const { settings, now, abandonedAfter, redisClock, onForeign } = dependencies;
  const { authenticator, name: subject, username } = tried;
  const key = subjectKey(redis, subjectDigest({ authenticator, subject }));
  const records = createRecords(redis, key);
  const secrets = secretDigests(redis, tried);
  const [secret = ''] = secrets;
  const redisTime = (monotonic = now()) => monotonic + redisClock.offset;
  const atLeast = () => settings().window + abandonedAfter;
  let known: SharedRecords['known'] = new Map();

  function read({ time, removed, fields }: Reply): SharedRecords {
    const seen = records.read(fields, time, { window: settings().window, abandonedAfter, knownFor });
    const gone = [...seen.foreign, ...seen.expired];
    if (gone.length > 0) redis.tell('lockout', (client) => client.hdel(key, ...gone));
    if (removed + seen.foreign.length > 0) onForeign(removed + seen.foreign.length);
    known = seen.known;
    return seen;
  }
  return {
    secrets,
    redisTime,
    async take(id, limit, timeLimit) {
      const time = redisTime();
      const own = records.write(tryField(id), 'pending', time, secret);
      const most = spareFields + 2 * settings().maxFailures;
      const rest = [...own, limit, atLeast(), knownFor, most, ...secrets.map(knownField)];
      const work = (client: RedisClient) => client.eval(takeScript, 1, key, ...rest);
      const asking = timeLimit === undefined ? redis.ask('lockout', work) : redis.askWithin('lockout', timeLimit, work);
      const reply = parseReply(await asking);
      redisClock.offset = reply.time - now();
      const isBelieved = Math.abs(reply.time - time) <= tolerance;
      return isBelieved ? { ...read(reply), hasSlot: reply.hasSlot } : undefined;
    },
    settle(id, outcome) {
      // In this order: a Redis that is full lets a script write on that has removed something.
      const gone = [tryField(id), ...(outcome === 'unavailable' ? [] : secrets.map(knownField))];
      const come: string[] = [];
      if (outcome === 'refused') {
        come.push(...records.write(tryField(id), 'refused', redisTime(), secret));
        noteName(redis, { authenticator, subject, username }, redisTime(), atLeast());
      }
      if (outcome === 'accepted') {
        gone.push(...oldest(known, secrets).map(knownField));
        come.push(...records.write(knownField(secret), 'right', redisTime(), secret));
      }
      const rest = [outcome === 'accepted' ? knownFor : atLeast(), knownFor, gone.length, ...gone, ...come];
      redis.tell('lockout', (client) => client.eval(changeScript, 1, key, ...rest));
    },
  };
}

interface Reply {
  readonly hasSlot: boolean;
  readonly time: number;
  readonly removed: number;
  readonly fields: readonly string[];
}

/** @throws RedisProblem for what is no reply of the script */
function parseReply(reply: unknown): Reply {
  const [hasSlot, time, removed, fields]: unknown[] = Array.isArray(reply) ? reply : [];
  const isReply = Number.isSafeInteger(time) && Number.isSafeInteger(removed) && Array.isArray(fields);
  if (!isReply || !fields.every((one) => typeof one === 'string')) {
    throw new RedisProblem('server', 'the cache Redis: its reply is not that of the script');
  }
  return { hasSlot: hasSlot === 1, time: Number(time), removed: Number(removed), fields };
}

/** Those that were right longest ago, so that one more fits. */
function oldest(known: SharedRecords['known'], besides: readonly string[]): string[] {
  const others = [...known].filter(([one]) => !besides.includes(one)).sort(([, one], [, other]) => other - one);
  return others.slice(maxKnown - 1).map(([one]) => one);
}

function secretDigests({ sealingKeys }: SharedRedis, { authenticator, name, password }: Tried): string[] {
  return sealingKeys.map((key) => createFingerprint(key.derive('lockout secrets'))(authenticator, name, password));
}
