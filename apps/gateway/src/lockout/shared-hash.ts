import type { AttemptOutcome } from '@sallyport/authenticator';
import { type RedisClient, RedisProblem } from '@sallyport/redis-connection';
import type { LockoutConfig } from '../config/types.ts';
import type { SharedRedis } from '../shared-redis/types.ts';
import { createFingerprint } from './ledger.ts';
import { noteName, subjectDigest, subjectKey } from './shared-lockouts.ts';
import { createRecords, knownField, type SharedRecords, tolerance, tryField } from './shared-records.ts';

/** What is sent to the backend, in clear: it stays in this process. */
export interface Tried {
  readonly authenticator: string;
  readonly name: string;
  readonly password: string;
  /** As a decision would name the user: for the list of those who have refused tries. */
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

/** What was in the hash before the slot of the try, and whether the try has one. */
interface Taken extends SharedRecords {
  readonly hasSlot: boolean;
}

/** What all replicas know of the tries of one subject, for a try with one secret. */
export interface SharedHash {
  /** Digests of the secret under each sealing key. The first is the one to write. */
  readonly secrets: readonly string[];
  /** A moment by Redis' clock. */
  redisTime(monotonic: number): number;
  /**
   * Takes a slot, if one is free, and reads what was in the hash before.
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

/** Milliseconds. A secret that was not used for so long need not be sure of a try at any time. */
const knownFor = 30 * 24 * 60 * 60 * 1000;
/** Of one subject: a password, and as many more as a directory accepts beside it (such as tokens of applications). */
const maxKnown = 8;
/** Fields that a hash may have, besides two for each refused try that is allowed. */
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
    if (gone.length > 0) redis.send('lockout', (client) => client.hdel(key, ...gone));
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
      // In this order: in a full Redis, a script that has removed something may still write.
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
      redis.send('lockout', (client) => client.eval(changeScript, 1, key, ...rest));
    },
  };
}

interface Reply {
  readonly hasSlot: boolean;
  readonly time: number;
  readonly removed: number;
  readonly fields: readonly string[];
}

/** @throws RedisProblem for anything that is no reply of the script */
function parseReply(reply: unknown): Reply {
  const [hasSlot, time, removed, fields]: unknown[] = Array.isArray(reply) ? reply : [];
  const isReply = Number.isSafeInteger(time) && Number.isSafeInteger(removed) && Array.isArray(fields);
  if (!isReply || !fields.every((one) => typeof one === 'string')) {
    throw new RedisProblem('server', 'the cache Redis: the reply is not that of the script');
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

/*
 * The gateway judges the hash of a subject (see `shared-records.ts`), since only the gateway can check who wrote its
 * records. The scripts do only what must be atomic.
 */

/** Sees that the hash lives at least so long from now on. A foreign writer may have set a longer expiry, or none. */
const keep = `
local function keep(least, most)
  local left = redis.call('PTTL', KEYS[1])
  if left < least or left > most then redis.call('PEXPIRE', KEYS[1], least) end
end`;

/**
 * Takes a slot for a try, and reads all other fields at the same moment: what was in the hash before it. Other replicas
 * can't take a slot in between, so a try that finds too many before it gives its own back.
 *
 * Someone else may have written to this key. A key of another type, or with far too many fields, is removed as a whole; a
 * field that is too long to be ours is removed, and never sent to the gateway.
 *
 * KEYS[1]  the hash
 * ARGV[1], ARGV[2]  the field of the try, and its value
 * ARGV[3]  how many other tries there may be for it to take a slot, whoever wrote them: tries that wait for a slot
 *          must not block each other. `any`: it takes one in any case
 * ARGV[4], ARGV[5]  milliseconds that the hash stays at least and at most
 * ARGV[6]  how many fields it may have
 * ARGV[7]… fields that say that the secret is right: with one of them the try takes a slot in any case
 *
 * @returns 1 when the try has a slot, Redis' time in milliseconds, how many keys and fields were removed, and the other
 *   fields and their values
 */
const takeScript = `${keep}
local key, field = KEYS[1], ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local removed = 0
local size = redis.pcall('HLEN', key)
local isOther = type(size) == 'table' and string.find(size.err, 'WRONGTYPE', 1, true)
if isOther or type(size) == 'number' and size > tonumber(ARGV[6]) then
  redis.call('DEL', key)
  removed = 1
end

local marks, isKnown, tries, others = {}, false, 0, {}
for index = 7, #ARGV do marks[ARGV[index]] = true end
local all = redis.call('HGETALL', key)
for index = 1, #all, 2 do
  local name, value = all[index], all[index + 1]
  if #name > 64 or #value > 160 then
    redis.call('HDEL', key, name)
    removed = removed + 1
  elseif name ~= field then
    others[#others + 1] = name
    others[#others + 1] = value
    isKnown = isKnown or marks[name]
    if string.sub(name, 1, 4) == 'try:' then tries = tries + 1 end
  end
end

local hasSlot = 0
if ARGV[3] == 'any' then
  redis.call('HSET', key, field, ARGV[2])
  hasSlot = 1
elseif isKnown or tries < tonumber(ARGV[3]) then
  -- A Redis that takes no writes can still be read.
  local reply = redis.pcall('HSET', key, field, ARGV[2])
  if type(reply) == 'number' then hasSlot = 1 end
end
if hasSlot == 1 then keep(tonumber(ARGV[4]), tonumber(ARGV[5])) end
return { hasSlot, now, removed, others }
`;

/**
 * Changes the hash.
 *
 * KEYS[1]  the hash
 * ARGV[1], ARGV[2]  milliseconds that it stays at least and at most
 * ARGV[3]  how many fields go
 * ARGV[4]… these, then fields and values that come
 */
const changeScript = `${keep}
local last = 3 + tonumber(ARGV[3])
for index = 4, last do redis.call('HDEL', KEYS[1], ARGV[index]) end
for index = last + 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1]) end
keep(tonumber(ARGV[1]), tonumber(ARGV[2]))
return 'changed'
`;
