import { describe, expect, test } from 'vitest';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import { authenticated, createClocks, createReplica, hour, minute, type Replica } from './testing/cached-replica.ts';
import { recordsIn } from './testing/records.ts';
import { passInRedis } from './testing/redis-time.ts';

const file = redisOfFile();

const settings = { authenticatedTtl: 2 * hour, staleTtl: hour };
const step = 20 * minute;

interface History {
  /** How far the clock of the replica that asked the backend is ahead, and that of the one that looks into Redis. */
  readonly writer: number;
  readonly reader: number;
  /** True time until the token ends. */
  readonly lifetime?: number;
  /** What another client does to the record in Redis at each step. */
  readonly meddle?: 'lengthen' | 'persist';
  /** Whether an answer that is used as a stale one counts as used. */
  readonly isStaleUse?: boolean;
}

/** A replica whose clock is off and whose backend is down: what it answers is cached. */
function createReader(skew: number): Replica {
  const clocks = createClocks();
  clocks.set(skew);
  const answer = () => {
    throw new Error('down');
  };
  return createReplica({ shared: file.opened.redis, clocks, settings, answer });
}

/**
 * How old the answer truly was when it was used last, looking every 20 minutes: by replicas that find it in Redis then,
 * and by one that has had it in memory since the beginning. A step before 0: never.
 */
async function usedUntil({ writer, reader, lifetime, meddle, isStaleUse = false }: History) {
  const clocks = createClocks();
  const answer = () =>
    authenticated('jane', lifetime === undefined ? {} : { expiresAt: new Date(clocks.wall() - writer + lifetime) });
  clocks.set(writer);
  await createReplica({ shared: file.opened.redis, clocks, settings, answer }).ask();
  await file.opened.quiet();
  const isUsed = async (replica: Replica) => {
    const answered = await replica.ask().catch(() => undefined);
    return answered !== undefined && (isStaleUse || answered.source !== 'stale');
  };
  const early = createReader(reader);
  const used = until(0);
  for (let age = 0; age <= 5 * hour; age += step) {
    const late = createReader(reader);
    late.clocks.pass(age);
    if (await isUsed(late)) used.found = age;
    if (await isUsed(early)) used.adopted = age;
    early.clocks.pass(step);
    await passInRedis(file.redis, step);
    const [key] = await recordsIn(file.redis);
    if (key !== undefined && meddle === 'lengthen') await file.redis.client().pexpire(key, 10 * hour);
    if (key !== undefined && meddle === 'persist') await file.redis.client().persist(key);
  }
  return used;
}

const skews = [-hour, 0, hour];
const pairs = skews.flatMap((writer) => skews.map((reader) => ({ writer, reader })));
const until = (end: number) => ({ found: end - step, adopted: end - step });
const latest = ({ found, adopted }: { found: number; adopted: number }) => Math.max(found, adopted);

describe.each(pairs)('with clocks off by $writer ms where it was asked and $reader ms where it is used', (pair) => {
  const { writer, reader } = pair;
  /** How much older an answer seems to the reader than it is; what it seems younger, it can gain. */
  const older = reader - writer;

  test('an answer gains nothing while Redis keeps its end', async () => {
    // A reader whose clock is ahead loses the same time, and no more.
    expect(await usedUntil(pair)).toEqual(until(2 * hour - Math.max(0, older)));
    await file.redis.client().flushall();
    expect(await usedUntil({ ...pair, isStaleUse: true })).toEqual(until(3 * hour - Math.max(0, older)));
  });

  test('an answer gains nothing when its time to live is changed', async () => {
    // Redis says of none that it is as it was, so that it is not used at all; but from memory, where that was first.
    for (const meddle of ['lengthen', 'persist'] as const) {
      await file.redis.client().flushall();
      const { found, adopted } = await usedUntil({ ...pair, meddle });
      expect(found).toBeLessThanOrEqual(0);
      expect(adopted).toBe(2 * hour - Math.max(0, older) - step);
    }
  });

  test('a token ends on time, except for the skew of both clocks', async () => {
    // The one that is further behind would give it more, and the other does not.
    expect(await usedUntil({ ...pair, lifetime: hour })).toEqual(until(hour - Math.max(writer, reader)));
  });

  test('a token gains no more than the skew of the reader when the time to live of its record is changed', async () => {
    const used = await usedUntil({ ...pair, lifetime: hour, meddle: 'lengthen' });
    expect(latest(used)).toBeLessThanOrEqual(hour - reader - step);
  });
});
