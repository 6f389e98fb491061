import type { Logger } from '@sallyport/authenticator';
import type { Clocks } from '../clocks.ts';
import { createLogLimiter } from '../logging/log-limiter.ts';
import { readReply } from '../shared-redis/read-reply.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { forgetReplicas, sealApplied } from './confirmation.ts';
import { createRevocationList, type Entry, type RevocationList, type Revocations } from './list.ts';
import { type Synchronized, synchronize } from './redis-list.ts';
import { pollReply } from './replies.ts';
import { pollAboveLimitScript, pollScript, revocationKeys } from './scripts.ts';

/** Milliseconds from one poll of the list to the next. */
export const pollInterval = 500;

/** Milliseconds after which the whole list is read though its revision is the same, which repairs manual changes. */
const rereadAfter = 30_000;

/** Milliseconds after which it is read again because it could not be repaired, for example when Redis took no writes. */
const retryAfter = 5_000;

/** Milliseconds without a poll after which a replica does not know any more what was revoked. */
const cutOffAfter = 1_000;

export type RevocationReader = ReturnType<typeof createRevocationReader>;

export interface ReaderDependencies {
  /** Asked at each poll: a reload may change it. */
  readonly redis: () => ProbedRedis | undefined;
  readonly list: RevocationList;
  readonly clocks: Clocks;
  /** Set at each poll. */
  readonly sharedClock: ReturnType<typeof createSharedClock>;
  readonly replicaId: string;
  /** Called with each entry that this replica did not know. */
  readonly onAdopted: (entry: Entry) => void;
  /** Called when keys of another type were in the place of the list, and were removed. */
  readonly onForeign: (keys: number) => void;
  readonly logger: Pick<Logger, 'warn' | 'info'>;
}

/** The revocation list of this process, what keeps it the same as all others, and both of them as a cache uses them. */
export function createSharedRevocations(dependencies: Omit<ReaderDependencies, 'list' | 'sharedClock'>) {
  const { clocks } = dependencies;
  const sharedClock = createSharedClock(clocks);
  const list = createRevocationList(sharedClock.now, clocks.wall);
  const reader = createRevocationReader({ ...dependencies, list, sharedClock });
  const revocations: Revocations = {
    get revision() {
      return list.revision;
    },
    get isCutOff() {
      return reader.isCutOff;
    },
    isRevoked: list.isRevoked,
  };
  return { list, reader, revocations };
}

/** Redis' clock, which all replicas share: a block ends for all of them at one time, however wrong their own clocks are. */
export function createSharedClock(clocks: Clocks) {
  let offset: number | undefined;
  return {
    /** Milliseconds since 1970. This process' own clock until the first reply of Redis. */
    now: () => (offset === undefined ? clocks.wall() : clocks.monotonic() + offset),
    /** @param monotonic when Redis was asked, so that the clock is rather behind than ahead */
    set(time: number, monotonic: number): void {
      offset = time - monotonic;
    },
  };
}

export function createRevocationReader(dependencies: ReaderDependencies) {
  const { redis: current, clocks } = dependencies;
  const log = createReaderLog(dependencies.logger, clocks.monotonic);
  const pollList = createPoll(dependencies, log);
  let polledAt = Number.NEGATIVE_INFINITY;
  let polling: Promise<void> | undefined;

  async function pollOnce(): Promise<void> {
    const redis = current();
    if (redis === undefined) return;
    try {
      let isNew = true;
      for (let polls = 0; polls < 2 && isNew; polls++) {
        const start = clocks.monotonic();
        isNew = await pollList(redis);
        polledAt = start;
      }
    } catch (error) {
      log.failed(error);
    }
    log.cutOff(reader.isCutOff);
  }

  const reader = {
    /** Polls now, and once more when the list had changed, to report that the change was merged. Never rejects. */
    poll(): Promise<void> {
      // A slow Redis has one poll at a time.
      polling ??= pollOnce().finally(() => {
        polling = undefined;
      });
      return polling;
    },
    /** Commands need not wait for this replica any more. Never rejects. */
    async leave(): Promise<void> {
      await polling;
      const redis = current();
      if (redis) await forgetReplicas(redis, [dependencies.replicaId]).catch(() => {});
    },
    /** Milliseconds since the last poll; undefined where there is no Redis. Infinity: never. */
    get age(): number | undefined {
      return current() === undefined ? undefined : clocks.monotonic() - polledAt;
    },
    /** See `Revocations`. Never, where there is no Redis. */
    get isCutOff(): boolean {
      return (reader.age ?? 0) > cutOffAfter;
    },
  };
  return reader;
}

/** @returns one poll of the list; it resolves to whether something was new */
function createPoll(
  { list, clocks, sharedClock, replicaId, onAdopted, onForeign }: ReaderDependencies,
  log: ReturnType<typeof createReaderLog>,
): (redis: ProbedRedis) => Promise<boolean> {
  let last: Synchronized | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  return async (redis) => {
    const start = clocks.monotonic();
    const keys = revocationKeys(redis.keyPrefix);
    const known = last?.redis === redis ? last : undefined;
    const [key] = redis.sealingKeys;
    const applied = key ? sealApplied(replicaId, known?.digest ?? '', key) : '';
    const ask = (script: string) =>
      redis.probe('revocations', (client) =>
        client.eval(script, 3, keys.revision, keys.list, keys.replicas, replicaId, applied),
      );
    const [revision, fields, time, foreign, isFull] = readReply(pollReply, await ask(pollScript));
    sharedClock.set(time, start);
    if (foreign > 0) {
      onForeign(foreign);
      log.foreign(foreign);
    }
    if (isFull === 1) {
      // Commands wait for each replica that is noted. A Redis that can't run this script is still read.
      await ask(pollAboveLimitScript).catch(() => undefined);
    }
    const isSame = known?.revision === revision && known.fields === fields;
    // Entries of unknown keys stay unknown: reading 90,000 of them every 5 s would block this process for part of that.
    const mustRetry = known?.digest === undefined && known?.unreadable === 0;
    const isRecent = start - readAt < (mustRetry ? retryAfter : rereadAfter);
    if (isSame && isRecent) return false;
    last = await synchronize(redis, list);
    readAt = start;
    for (const entry of last.adopted) onAdopted(entry);
    log.unreadable(last.unreadable);
    return !isSame;
  };
}

/** Logs each state once, when it begins and when it ends. @param now monotonic milliseconds */
function createReaderLog(logger: Pick<Logger, 'warn' | 'info'>, now: () => number) {
  const limit = createLogLimiter(now);
  let reason = 'not read yet';
  let wasCutOff = false;
  let lastUnreadable = 0;
  return {
    /** Remembers why the list could not be read. */
    failed(error: unknown) {
      reason = error instanceof Error ? error.message : 'unknown';
    },
    cutOff(isCutOff: boolean) {
      if (isCutOff === wasCutOff) return;
      wasCutOff = isCutOff;
      const consequence = 'cached answers are used for 10 s at most, and known blocks stay in force';
      if (isCutOff) logger.warn({ reason }, `cut off from the revocation list: ${consequence}`);
      else logger.info({}, 'the revocation list is read again');
    },
    unreadable(entries: number) {
      if (entries === lastUnreadable) return;
      lastUnreadable = entries;
      if (entries === 0) return;
      const fix = 'set the same cache.redis.sealingKeys on every replica';
      logger.warn({ entries }, `entries of the revocation list can't be opened and have no effect here: ${fix}`);
    },
    /** Keys of another type were removed. One line in 10 s. */
    foreign(keys: number) {
      const unloggedSince = limit('foreign');
      if (unloggedSince === undefined) return;
      const fix = 'find out which other client writes to this Redis';
      logger.warn(
        { keys, ...(unloggedSince > 0 && { unloggedSince }) },
        `removed keys of another type in the place of the revocation list, which is written back: ${fix}`,
      );
    },
  };
}
