import {
  type RedisClient,
  readValue,
  type StoredValue,
  stringUpTo,
} from '@sallyport/redis-connection';
import type { Clocks } from '../../base/clocks.ts';
import { openText, type SealingKey, sealText } from '../sealing/seal.ts';
import type { SharedRedis } from '../shared-redis/shared-redis.ts';
import { type CachedUser, maxAnswersOfUser, nameAnswer, nameUser, type Question } from './names.ts';
import { decodeRecord, encodeRecord, type PositiveEntry, toEntry } from './record.ts';

/** The result of a lookup in Redis. `invalid`: there was a value that must not be trusted. */
export type RedisLookup =
  | { readonly result: 'hit'; readonly entry: PositiveEntry }
  | { readonly result: 'miss' | 'invalid' | 'error' };

export type RedisTier = ReturnType<typeof createRedisTier>;

const sealedFor = 'cache records';

/** The maximum size of a record, in bytes. The record of a user in a thousand groups with long names is smaller. */
const maxRecordBytes = 256 * 1024;

/** `set` writes nothing longer: in base64 three bytes are four, and sealing adds less than 64. */
const sealedRecord = stringUpTo(Math.ceil((maxRecordBytes + 64) / 3) * 4);

/** The cache that all replicas share. It holds positive entries, sealed, and nothing else. */
export function createRedisTier(redis: SharedRedis, clocks: Clocks) {
  const makeKey = (name: string) => makeAnswerKey(redis, name);
  return {
    async get(question: Question): Promise<RedisLookup> {
      const names = nameUnderKeys(redis, question);
      try {
        const values = await redis.ask('cache', (client) => readValues(client, redis, names));
        return selectYoungest(values.map((value) => readRecord(value, clocks)));
      } catch {
        return { result: 'error' };
      }
    },
    /**
     * Writes a record; no review waits for it. Drops a record that is too big to share, or has expired.
     *
     * @param lifetime milliseconds until it expires, unless its token expires before
     * @param maxOfUser how many records one user may have
     */
    set(
      question: Question,
      entry: PositiveEntry,
      lifetime: number,
      maxOfUser: number = maxAnswersOfUser,
    ): void {
      const [target] = nameUnderKeys(redis, question);
      const { expiresAt, user } = entry.decision;
      const end = expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
      const ttl = Math.floor(Math.min(lifetime, end - clocks.wall()));
      const plain = encodeRecord({ ...entry, ttl });
      if (target === undefined || ttl < 1 || Buffer.byteLength(plain) > maxRecordBytes) return;
      const { key, name } = target;
      const sealed = sealText(key, sealedFor, name, plain);
      const cachedUser = { fingerprint: question.fingerprint, username: user.username };
      redis.send('cache', async (client) => {
        // The record comes first: a replica that finds it to be one too many must not remove it before it is there.
        await client.set(makeKey(name), sealed, 'PX', ttl);
        try {
          const userKey = makeUserKey(redis, key, cachedUser);
          const reply = await client.eval(noteAnswerScript, 1, userKey, name, ttl, maxOfUser);
          // In a cluster, these answers are on other nodes than the note.
          const excess = readAnswerNames(reply).map((excessName) => makeKey(excessName));
          await Promise.all(excess.map((excessKey) => client.del(excessKey)));
        } catch (error) {
          await client.del(makeKey(name));
          throw error;
        }
      });
    },
    delete(question: Question): void {
      const keys = nameUnderKeys(redis, question).map(({ name }) => makeKey(name));
      redis.send('cache', (client) => Promise.all(keys.map((key) => client.del(key))));
    },
  };
}

type Keys = Pick<SharedRedis, 'keyPrefix'>;

const makeAnswerKey = ({ keyPrefix }: Keys, name: string) => `${keyPrefix}cache:${name}`;

/** The key of the names of a user's answers. */
function makeUserKey({ keyPrefix }: Keys, key: SealingKey, user: CachedUser): string {
  return `${keyPrefix}cache-user:${nameUser(key.derive('cache users'), user)}`;
}

/** Reads answers about a user, for `explain`. @param question selects one of them. Default: all @throws RedisProblem */
export async function readAnswersOfUser(
  redis: SharedRedis,
  clocks: Clocks,
  user: CachedUser,
  question?: Question,
) {
  const values = await redis.ask('cache', async (client) => {
    if (question) return readValues(client, redis, nameUnderKeys(redis, question));
    const noted = redis.sealingKeys.map(async (key) => {
      const userKey = makeUserKey(redis, key, user);
      const reply = await client.eval(listAnswersScript, 1, userKey, maxListed);
      return readAnswerNames(reply).map((name) => ({ key, name }));
    });
    return readValues(client, redis, (await Promise.all(noted)).flat());
  });
  return values.flatMap((value): PositiveEntry[] => {
    const lookup = readRecord(value, clocks);
    // A writer of Redis may have noted the answer of another user.
    return lookup.result === 'hit' && lookup.entry.decision.user.username === user.username
      ? [lookup.entry]
      : [];
  });
}

/** During a rotation there are two keys, and a record may be sealed under either: each has its own name for it. */
function nameUnderKeys({ sealingKeys }: Pick<SharedRedis, 'sealingKeys'>, question: Question) {
  return sealingKeys.map((key) => ({
    key,
    name: nameAnswer(key.derive('cache names'), question),
  }));
}

function readValues(
  client: RedisClient,
  redis: Keys,
  names: readonly Pick<Value, 'key' | 'name'>[],
): Promise<Value[]> {
  return Promise.all(
    names.map(async (keyedName) => ({
      ...keyedName,
      ...(await readValue(client, sealedRecord, makeAnswerKey(redis, keyedName.name))),
    })),
  );
}

interface Value extends StoredValue {
  readonly key: SealingKey;
  readonly name: string;
}

function readRecord({ key, name, reply, timeToLive }: Value, clocks: Clocks): RedisLookup {
  if (typeof reply !== 'string') return { result: 'miss' };
  const plain = openText([key], sealedFor, name, reply);
  const record = plain === undefined ? undefined : decodeRecord(plain);
  if (record === undefined) return { result: 'invalid' };
  // This is by Redis' clock, which is the same for all replicas. A key that never expires, or expires later, was changed.
  const isOurs = typeof timeToLive === 'number' && timeToLive >= 0 && timeToLive <= record.ttl;
  const timeLeft = isOurs ? timeToLive : 0;
  return {
    result: 'hit',
    entry: toEntry(record, clocks, { age: Math.max(0, record.ttl - timeLeft), timeLeft }),
  };
}

function selectYoungest(lookups: readonly RedisLookup[]): RedisLookup {
  const hits = lookups.filter((lookup) => lookup.result === 'hit');
  const [youngest] = hits.sort((a, b) => b.entry.answeredMonotonic - a.entry.answeredMonotonic);
  return youngest ?? lookups.find(({ result }) => result === 'invalid') ?? { result: 'miss' };
}

/**
 * Notes that a user has an answer in Redis, and returns the names of answers that are too many. KEYS: a hash of the time of
 * Redis in milliseconds at which each answer was noted, by its name. ARGV: the name, its time to live in milliseconds, and how
 * many answers a user may have.
 *
 * Others may have written to the key: one of another type, or with far too many fields, is removed; a time that is
 * invalid or in the future counts as the oldest; and a field that is too long is not returned.
 */
const noteAnswerScript = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local size = redis.pcall('HLEN', KEYS[1])
if type(size) ~= 'number' or size > 8 * tonumber(ARGV[3]) then redis.call('DEL', KEYS[1]) end
local all, others, excess = redis.call('HGETALL', KEYS[1]), {}, {}
for i = 1, #all, 2 do
  local at = tonumber(all[i + 1]) or 0
  if all[i] ~= ARGV[1] then others[#others + 1] = {all[i], at <= now and at or 0} end
end
table.sort(others, function(one, other) return one[2] < other[2] end)
for i = 1, #others + 1 - tonumber(ARGV[3]) do
  redis.call('HDEL', KEYS[1], others[i][1])
  if #others[i][1] <= 64 then excess[#excess + 1] = others[i][1] end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return excess`;

/** The form of an answer's name. Any other value was not noted by a gateway, and must not become part of a key. */
const namePattern = /^[\w-]{43}$/;

function readAnswerNames(reply: unknown): readonly string[] {
  return (reply as unknown[]).filter(
    (name): name is string => typeof name === 'string' && namePattern.test(name),
  );
}

/** The maximum number of names that are listed: more than any user may have. */
const maxListed = 1_000;

/**
 * Lists the names of a user's answers. KEYS: as in the script above. ARGV: how many there may be; a key with more has foreign
 * data.
 */
const listAnswersScript = `
local size = redis.pcall('HLEN', KEYS[1])
if type(size) ~= 'number' or size > tonumber(ARGV[1]) then return {} end
local all, names = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  if #all[i] <= 64 then names[#names + 1] = all[i] end
end
return names`;
