import type { Logger } from '@sallyport/authenticator';
import type { Clocks } from '../../base/clocks.ts';
import { readReply } from '../shared-redis/read-reply.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { createEndedSessions } from './ended-sessions.ts';
import {
  type AccessBlocks,
  type Blocks,
  createRevocationList,
  type Entry,
  type LoginBlocks,
  type LoginRevocations,
  type RevocationList,
  type Revocations,
} from './list.ts';
import { createPause } from './pause.ts';
import { createReaderLog } from './reader-log.ts';
import { createReading } from './reading.ts';
import { isWholeList, type OnForeign, type SyncResult, synchronize } from './redis-list.ts';
import { createReplicaMemory, forgetReplicas, sealApplied } from './replicas.ts';
import { pollReply } from './replies.ts';
import { allowAboveLimit, pollScript, revocationKeys } from './scripts.ts';

/** The time from one poll of the list to the next, in milliseconds. */
export const pollInterval = 500;

/** The whole list is read after this time even if its revision is the same, which repairs manual changes. Milliseconds. */
const rereadAfter = 30_000;

/**
 * A list that could not be repaired, for example because Redis took no writes, is read again after this time. Milliseconds.
 */
const retryAfter = 5_000;

/** A replica that has not polled for this time is cut off: it does not know what was revoked since. Milliseconds. */
const cutOffAfter = 1_000;

export type RevocationReader = ReturnType<typeof createRevocationReader>;

export interface ReaderDependencies {
  /** Called at each poll, since a reload may change the Redis. */
  readonly redis: () => ProbedRedis | undefined;
  readonly list: RevocationList;
  readonly clocks: Clocks;
  /** Redis' clock, which each poll sets. */
  readonly sharedClock: ReturnType<typeof createSharedClock>;
  readonly replicaId: string;
  /** See `cache.redis.startWithoutBlocks`. Called each time, since a reload may change it. */
  readonly startsWithoutBlocks: () => boolean;
  /** Called with each entry that this replica did not know. */
  readonly onAdopted: (entry: Entry) => void;
  /** Called when keys of another type in the place of the list were removed. */
  readonly onForeign: OnForeign;
  /** Called after each successful poll of the list. If it fails, the poll has still succeeded. */
  readonly afterPoll?: (redis: ProbedRedis) => Promise<void>;
  readonly logger: Pick<Logger, 'warn' | 'info'>;
}

interface SharedDependencies
  extends Omit<ReaderDependencies, 'list' | 'sharedClock' | 'afterPoll'> {
  /** Whether a poll also synchronizes ended sessions: the config has a login server, or denies access. Default: it does not. */
  readonly hasSessions?: () => boolean;
}

/**
 * Makes the revocation list of this process and its ended sessions, the reader that synchronizes both with other replicas, and
 * the list as caches and blocks use it.
 */
export function createSharedRevocations({
  hasSessions = () => false,
  ...dependencies
}: SharedDependencies) {
  const { clocks } = dependencies;
  const ended = createEndedSessions();
  const sharedClock = createSharedClock(clocks);
  const list = createRevocationList(sharedClock.now, clocks.wall);
  const reader = createRevocationReader({
    ...dependencies,
    list,
    sharedClock,
    async afterPoll(redis) {
      if (hasSessions()) await ended.synchronize(redis);
    },
  });
  const revocations: Revocations & LoginRevocations = {
    get revision() {
      return list.revision;
    },
    get isCutOff() {
      return reader.isCutOff;
    },
    isRevoked: list.isRevoked,
    refresh: reader.refresh,
  };
  const blocks: Blocks & LoginBlocks & AccessBlocks = {
    findByToken: list.findByToken,
    findByTokenDigest: list.findByTokenDigest,
    findByUser: list.findByUser,
    findByCredential: list.findByCredential,
    findByCredentialId: list.findByCredentialId,
    get age() {
      return reader.age;
    },
    get isUnknown() {
      return reader.isUnknown;
    },
  };
  return { list, reader, revocations, blocks, ended };
}

/** Makes Redis' clock, which all replicas share: a block ends for all at one time, however wrong their own clocks are. */
export function createSharedClock(clocks: Clocks) {
  let offset: number | undefined;
  return {
    /** Milliseconds since 1970. Until the first reply of Redis it is this process' own clock. */
    now: () => (offset === undefined ? clocks.wall() : clocks.monotonic() + offset),
    /** Sets the clock. @param monotonic when Redis was asked: so the clock is rather behind than ahead */
    set(time: number, monotonic: number): void {
      offset = time - monotonic;
    },
  };
}

export function createRevocationReader(dependencies: ReaderDependencies) {
  const { redis: current, clocks, replicaId, startsWithoutBlocks } = dependencies;
  const log = createReaderLog(dependencies.logger, clocks.monotonic);
  const onForeign = (keys: number) => {
    // An attacker on the connection can send any number.
    if (keys <= 0) return;
    dependencies.onForeign(keys);
    log.foreign(keys);
  };
  const replicas = createReplicaMemory(replicaId, onForeign);
  const reading = createReading(startsWithoutBlocks);
  const pause = createPause(clocks.monotonic);
  const pollList = createPoll({ ...dependencies, onForeign }, { replicas, reading, log });
  let polling: Promise<void> | undefined;

  async function pollOnce(): Promise<void> {
    const redis = current();
    if (redis === undefined) return;
    const began = clocks.monotonic();
    try {
      // If the list had changed, a second poll reports that the change was merged.
      if (await pollList(redis)) await pollList(redis);
      await dependencies.afterPoll?.(redis);
    } catch (error) {
      log.failed(error);
    }
    pause.polled(began);
    const state = reader.isCutOff ? 'cut off' : reading.isMissing ? 'no list' : 'read';
    const isKnown = reading.isRead && !reading.isMissing;
    log.state(state, isKnown ? 'read' : reader.isUnknown ? 'unknown' : 'ignored');
  }

  const reader = {
    /** Polls now. Never rejects. */
    poll(): Promise<void> {
      pause.runs();
      // A slow Redis has one poll at a time.
      polling ??= pollOnce().finally(() => {
        polling = undefined;
      });
      return polling;
    },
    /** See `LoginRevocations`. */
    async refresh(): Promise<void> {
      // A poll in progress may have begun before the pause: then it needs another one.
      for (let polls = 0; reader.isCutOff && polls < 2; polls += 1) await reader.poll();
    },
    /** Makes the first poll of a process. Never rejects. */
    begin: (): Promise<void> =>
      current() === undefined ? Promise.resolve() : reading.begin(reader.poll),
    /** Forgets earlier processes with the address of this replica: see `ReplicaName.idPrefix`. */
    forgetPredecessors: replicas.forgetPredecessors,
    /** Removes this replica from Redis, so that commands do not wait for it any more. Never rejects. */
    async leave(): Promise<void> {
      await polling;
      const redis = current();
      if (redis) await forgetReplicas(redis, [replicaId]).catch(() => {});
    },
    /** Milliseconds since the list was last read. Infinity: there was none. Undefined: there is no Redis. */
    get age(): number | undefined {
      if (current() === undefined) return undefined;
      return reading.isMissing ? Number.POSITIVE_INFINITY : clocks.monotonic() - reading.polledAt;
    },
    /** See `Revocations`. It is false if there is no Redis. */
    get isCutOff(): boolean {
      return current() !== undefined && clocks.monotonic() - reading.polledAt > cutOffAfter;
    },
    /** See `Blocks`. */
    get isUnknown(): boolean {
      if (current() === undefined) return false;
      return (reading.isMissing || pause.isOpen) && !startsWithoutBlocks();
    },
  };
  return reader;
}

/** The parts that one poll uses. */
interface PollParts {
  readonly replicas: ReturnType<typeof createReplicaMemory>;
  readonly reading: ReturnType<typeof createReading>;
  readonly log: ReturnType<typeof createReaderLog>;
}

/** @returns a function that polls the list once; it resolves to whether the list had changed */
function createPoll(
  { list, clocks, sharedClock, replicaId, onAdopted, onForeign }: ReaderDependencies,
  { replicas, reading, log }: PollParts,
): (redis: ProbedRedis) => Promise<boolean> {
  let last: SyncResult | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  return async (redis) => {
    const polledAt = clocks.monotonic();
    const lastSync = last?.redis === redis ? last : undefined;
    const applied = replicas.isIncomplete ? '' : (lastSync?.digest ?? '');
    const polled = await askRedis(redis, replicaId, applied).catch((error: unknown) => {
      replicas.failed();
      throw error;
    });
    const { revision, fields, time, foreign } = polled;
    sharedClock.set(time, polledAt);
    onForeign(foreign);
    // This comes before the list is written back: a command waits for the list, and then counts the replicas.
    await replicas.update(redis, { ...polled, polledAt });
    const isSame = lastSync?.revision === revision && lastSync.fields === fields;
    const isRecent =
      polledAt - readAt < (lastSync?.digest === undefined ? retryAfter : rereadAfter);
    const isWhole = !reading.isMissing;
    if (!isSame || !isRecent || lastSync.isWhole !== isWhole) {
      last = await synchronize(redis, list, { isWhole, onForeign });
      readAt = polledAt;
      for (const entry of last.adopted) onAdopted(entry);
      log.unreadable(last.unreadable);
    }
    reading.polled(polledAt, last !== undefined && isWholeList(last.revision));
    return !isSame;
  };
}

/** Asks whether the list has changed, and notes this replica. @param applied see `sealApplied` @throws RedisProblem */
async function askRedis(redis: ProbedRedis, replicaId: string, applied: string) {
  const keys = revocationKeys(redis.keyPrefix);
  const [key] = redis.sealingKeys;
  const sealed = key ? sealApplied(replicaId, applied, key) : '';
  const ask = async (script: string) => {
    const reply = await redis.probe('revocations', (client) =>
      client.eval(script, 3, keys.revision, keys.list, keys.replicas, replicaId, sealed),
    );
    const [revision, fields, time, foreign, isFull, isNew, count] = readReply(pollReply, reply);
    return { revision, fields, time, foreign, isFull: isFull === 1, isNew: isNew === 1, count };
  };
  const polled = await ask(pollScript);
  if (!polled.isFull) return polled;
  // The note matters: commands wait for each replica that is noted. A Redis that can't run this script is still read.
  const { isNew, count } = await ask(allowAboveLimit(pollScript)).catch(() => polled);
  return { ...polled, isNew, count };
}
