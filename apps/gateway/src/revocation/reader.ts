import type { Logger } from '@sallyport/authenticator';
import type { Clocks } from '../clocks.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import type { RevocationList } from './list.ts';
import { createReaderLog, type ReaderLog } from './reader-log.ts';
import { sealReplica } from './replica.ts';
import { noteAboveLimitScript, pollScript, revocationKeys } from './scripts.ts';
import type { SharedClock } from './shared-clock.ts';
import { type TakenIn, takeIn } from './take-in.ts';
import type { Entry } from './types.ts';

/** Milliseconds from one look at the list to the next. */
export const pollInterval = 500;

/** Milliseconds after which the whole list is read though its revision is the same: what was changed by hand is mended. */
const rereadAfter = 30_000;

/** Milliseconds after which it is read again because it could not be put right: Redis took no write, say. */
const retryAfter = 5_000;

/** Milliseconds without a look, after which a replica does not know any more what was revoked. */
const cutOffAfter = 1_000;

export interface RevocationReader {
  /** Looks now, and once more when the list had changed, so that it is told that the change was taken in. Never rejects. */
  poll(): Promise<void>;
  /** Commands need not wait for this replica any more. Never rejects. */
  leave(): Promise<void>;
  /** See `Revocations`. Never, where there is no Redis. */
  readonly isCutOff: boolean;
  /** Milliseconds since the list was looked at; undefined where there is no Redis. Infinity: never. */
  readonly age: number | undefined;
}

export interface ReaderDependencies {
  /** Asked at each look: a reload may change it. */
  readonly redis: () => ProbedRedis | undefined;
  readonly list: RevocationList;
  readonly clocks: Clocks;
  /** Set at each look. */
  readonly sharedClock: SharedClock;
  readonly replicaId: string;
  /** Told of each entry that this replica did not know. */
  readonly onAdopted: (entry: Entry) => void;
  /** Called when keys of another type were in the place of the list, and were removed. */
  readonly onForeign: (keys: number) => void;
  readonly logger: Pick<Logger, 'warn' | 'info'>;
}

export function createRevocationReader(dependencies: ReaderDependencies): RevocationReader {
  const { redis: current, clocks } = dependencies;
  const log = createReaderLog(dependencies.logger, clocks.monotonic);
  const look = createLook(dependencies, log);
  let lookedAt = Number.NEGATIVE_INFINITY;
  let polling: Promise<void> | undefined;

  const age = () => (current() === undefined ? undefined : clocks.monotonic() - lookedAt);
  const isCutOff = () => (age() ?? 0) > cutOffAfter;

  async function pollOnce(): Promise<void> {
    const redis = current();
    if (redis === undefined) return;
    try {
      let isNew = true;
      for (let looks = 0; looks < 2 && isNew; looks++) {
        const start = clocks.monotonic();
        isNew = await look(redis);
        lookedAt = start;
      }
    } catch (error) {
      log.failed(error);
    }
    log.cutOff(isCutOff());
  }

  return {
    poll() {
      // A Redis that is slow is not asked twice at a time.
      polling ??= pollOnce().finally(() => {
        polling = undefined;
      });
      return polling;
    },
    async leave() {
      await polling;
      const redis = current();
      if (redis === undefined) return;
      const { replicas } = revocationKeys(redis.keyPrefix);
      await redis.probe('revocations', (client) => client.hdel(replicas, dependencies.replicaId)).catch(() => {});
    },
    get age() {
      return age();
    },
    get isCutOff() {
      return isCutOff();
    },
  };
}

/** @returns one look at the list; it resolves to whether something was new */
function createLook(
  { list, clocks, sharedClock, replicaId, onAdopted, onForeign }: ReaderDependencies,
  log: ReaderLog,
): (redis: ProbedRedis) => Promise<boolean> {
  let last: TakenIn | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  return async (redis) => {
    const start = clocks.monotonic();
    const keys = revocationKeys(redis.keyPrefix);
    const known = last?.redis === redis ? last : undefined;
    const [key] = redis.sealingKeys;
    const told = key ? sealReplica({ id: replicaId, applied: known?.digest ?? '' }, key) : '';
    const reply = await redis.probe('revocations', (client) =>
      client.eval(pollScript, 3, keys.revision, keys.list, keys.replicas, replicaId, told),
    );
    const [revision, fields, time, foreign, isFull] = reply as [string, number, string, number, number];
    sharedClock.set(Number(time), start);
    if (foreign > 0) {
      onForeign(foreign);
      log.foreign(foreign);
    }
    // Commands wait for each replica that is noted. A Redis that can't run this script is still read.
    if (isFull === 1) await note(redis, replicaId, told).catch(() => undefined);
    const isSame = known?.revision === revision && known.fields === fields;
    // Entries of unknown keys stay unknown: 90,000 of them, read every 5 s, stop this process for a part of that.
    const isToBeRetried = known?.digest === undefined && known?.unreadable === 0;
    const isRecent = start - readAt < (isToBeRetried ? retryAfter : rereadAfter);
    if (isSame && isRecent) return false;
    last = await takeIn(redis, list);
    readAt = start;
    for (const entry of last.adopted) onAdopted(entry);
    log.unreadable(last.unreadable);
    return !isSame;
  };
}

function note(redis: ProbedRedis, replicaId: string, told: string): Promise<unknown> {
  const { replicas } = revocationKeys(redis.keyPrefix);
  return redis.probe('revocations', (client) => client.eval(noteAboveLimitScript, 1, replicas, replicaId, told));
}
