import { randomUUID } from 'node:crypto';
import { type AttemptOutcome, AuthenticatorError } from '@sallyport/authenticator';
import { type ProblemKind, type RedisClient, RedisProblem } from '@sallyport/redis-connection';
import { z } from 'zod';
import type { LockoutConfig } from '../config/types.ts';
import type { pause } from '../deadlines.ts';
import { readReply } from '../shared-redis/read-reply.ts';
import type { SharedRedis } from '../shared-redis/shared-redis.ts';
import { type Admission, createFingerprint, decide, maxWait, slotsOfDouble } from './local-guard.ts';
import { type CountedName, noteName, subjectKey } from './shared-lockouts.ts';
import {
  attemptField,
  createRecords,
  knownField,
  type SharedAttemptRecord,
  type SharedRecords,
  tolerance,
} from './shared-records.ts';
import { changeScript, takeScript } from './shared-scripts.ts';

/** What is sent to the backend, in clear: it stays in this process. */
interface Tried extends CountedName {
  readonly password: string;
}

export interface SharedAttemptDependencies {
  readonly settings: () => LockoutConfig;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly abandonedAfter: number;
  /** Redis' milliseconds less monotonic ones, as the last reply had it. All attempts learn it from each other. */
  readonly redisClock: { offset: number };
  /** Called with how many records in that Redis were removed because no gateway with its sealing keys wrote them. */
  readonly onForeign: (records: number) => void;
  /** In [0, 1). */
  readonly random: () => number;
  /** Between two questions whether other replicas still hold the last slots. */
  readonly pause: typeof pause;
}

/** Milliseconds between two questions, which grow by half up to the longest: a bind takes a few, or a second and more. */
const [firstPause, longestPause] = [50, 250];
/** Calls for one question: one more to learn Redis' clock, and one more past foreign or expired records. */
const maxCalls = 3;

/** Redis may be healthy and busy. A node of a cluster that is down has the same kind as a late one. */
const lateKinds: ReadonlySet<ProblemKind> = new Set(['timeout', 'node']);

export type SharedAttempt = ReturnType<typeof createSharedAttempt>;

/** One attempt, as all replicas see it. */
export function createSharedAttempt(redis: SharedRedis, tried: Tried, dependencies: SharedAttemptDependencies) {
  const { now, random } = dependencies;
  const hash = createSharedHash(redis, tried, dependencies);
  let id: string = randomUUID();
  let wait = firstPause;
  const begunAt = now();
  /** When the waiting ends, once it has begun. */
  let until: number | undefined;
  /** Whether this replica knew its secret to be right, when it asked last. */
  let wasRight = false;

  /** Also for an attempt that Redis was not asked about, or did not answer. No one waits for it. */
  const settle = (outcome: AttemptOutcome) => {
    hash.settle(id, outcome, wasRight);
    // A new id from now on, since the outcome of this one may still be on its way.
    id = randomUUID();
  };
  /**
   * Takes a slot when it says `admit`. `wait`: others hold the last slots; ask again after a pause.
   *
   * @param slots refused attempts that are allowed in the window. 0: it is sent only if its secret is known to be right
   * @param rightAt when this replica last found its secret right, in monotonic milliseconds; undefined: it never did
   * @returns undefined when this replica decides by what it knows: Redis is down, or refuses the call, or takes too long
   *   for a secret that this replica knows to be right, or that has no slot here
   * @throws AuthenticatorError `failed` when other replicas, or Redis, take too long
   */
  async function ask(slots: number, rightAt: number | undefined): Promise<Admission | undefined> {
    wasRight = rightAt !== undefined;
    try {
      const isOver = until !== undefined && now() >= until;
      const mayDouble = now() - begunAt >= maxWait;
      const timeLimit = until === undefined ? undefined : Math.max(until - now(), redis.timeout);
      const { admission, hasSlot } = await inquire(hash, { id, slots, rightAt, timeLimit, begunAt, mayDouble });
      if (admission !== 'admit' && hasSlot) settle('unavailable');
      // Its attempts may be counted under no name: they were never settled, or Redis has lost the name. Commands find it from now on.
      if (admission === 'throttled' || admission === 'invalid-credentials') hash.note();
      if (admission !== 'wait') return admission;
      until ??= now() + maxWait;
      if (!isOver) return 'wait';
    } catch (error) {
      if (!(error instanceof RedisProblem)) throw error;
      const isLate = lateKinds.has(error.kind) && !redis.isDown && rightAt === undefined;
      if (isLate && until === undefined) {
        until = now() + maxWait;
        return ask(slots, rightAt);
      }
      // The error comes at once while a connection is being made.
      if (isLate && slots > 0 && until !== undefined && now() < until) return 'wait';
      // It may have taken the slot, and only the answer was lost.
      if (slots === 0) settle('unavailable');
      if (!isLate || slots === 0 || error.kind === 'node') return undefined;
      throw new AuthenticatorError('failed', 'the cache Redis is too slow to say whether this user has attempts left');
    }
    if (rightAt !== undefined) return undefined;
    throw new AuthenticatorError('failed', 'attempts of this name elsewhere take too long');
  }
  /** Between two questions. @throws the reason of the signal when it is aborted */
  async function pauseBetween(signal: AbortSignal | undefined): Promise<void> {
    // Half of it at random: those that wait must not all ask again at the same moment.
    const left = Math.max(0, (until ?? Number.POSITIVE_INFINITY) - now());
    await dependencies.pause(Math.min(wait * (0.5 + random()), left), signal);
    wait = Math.min(wait * 1.5, longestPause);
  }
  return { ask, pause: pauseBetween, settle, refusedAt: hash.refusedAt };
}

interface Take {
  readonly id: string;
  /** How many other records of attempts there may be, whoever wrote them; `any`: it takes a slot in any case. */
  readonly limit: number | 'any';
  /** The same, while an attempt with the same secret is in progress. */
  readonly limitOfDouble: number | 'any';
  /** Milliseconds; undefined: `redis.timeout`. */
  readonly timeLimit: number | undefined;
}

interface Question extends Pick<Take, 'id' | 'timeLimit'> {
  readonly slots: number;
  readonly rightAt: number | undefined;
  readonly mayDouble: boolean;
  /** Monotonic milliseconds. A secret that was right since then need not wait for another attempt with it. */
  readonly begunAt: number;
}

/** One round trip, unless Redis' clock was not known, or records that do not count are in the way. */
async function inquire(
  hash: ReturnType<typeof createSharedHash>,
  { id, slots, rightAt, timeLimit, begunAt, mayDouble }: Question,
): Promise<{ readonly admission: Admission; readonly hasSlot: boolean }> {
  // A secret that this replica knows to be right needs no free slot.
  let limit: Take['limit'] = rightAt === undefined ? slots : 'any';
  let limitOfDouble: Take['limit'] = slotsOfDouble(mayDouble, slots);
  for (let call = 0; call < maxCalls; call++) {
    const taken = await hash.take({ id, limit, limitOfDouble, timeLimit });
    if (taken === undefined) continue;
    // A secret that was right here after it was refused elsewhere is right.
    const rightSince = rightAt === undefined ? Number.NEGATIVE_INFINITY : hash.redisTime(rightAt);
    const isOf = ({ secret, state, time }: SharedAttemptRecord) =>
      hash.secrets.includes(secret) && (state !== 'refused' || time > rightSince);
    const knownAt = Math.max(
      rightSince,
      ...hash.secrets.map((secret) => taken.known.get(secret) ?? Number.NEGATIVE_INFINITY),
    );
    const isKnown = knownAt > Number.NEGATIVE_INFINITY;
    const wasRightSince = knownAt >= hash.redisTime(begunAt);
    const admission = decide(taken.attempts, { isOf, isKnown, mayDouble: mayDouble || wasRightSince }, slots);
    if (admission !== 'admit' || taken.hasSlot) return { admission, hasSlot: taken.hasSlot };
    limit = 'any';
    limitOfDouble = 'any';
  }
  throw new RedisProblem('timeout', 'the clock of the cache Redis differs at each call');
}

/** Milliseconds. A secret that was not used for so long need not be sure of an attempt at any time. */
const knownFor = 30 * 24 * 60 * 60 * 1000;
/** Of one subject: a password, and as many more as a directory accepts beside it (such as tokens of applications). */
const maxKnown = 8;
/** Fields that a hash may have: two for each refused attempt that is allowed, and some more. */
const mostFields = ({ maxFailures }: LockoutConfig): number => 256 + 2 * maxFailures;

/** See `takeScript`. */
const replySchema = z.tuple([z.int(), z.int(), z.int(), z.array(z.string())]);

/** What all replicas know of the attempts of one subject, for an attempt with one secret. */
function createSharedHash(redis: SharedRedis, tried: Tried, dependencies: SharedAttemptDependencies) {
  const { settings, now, abandonedAfter, redisClock, onForeign } = dependencies;
  const { authenticator, subject, password } = tried;
  const key = subjectKey(redis, tried);
  const records = createRecords(redis, key);
  // Under each sealing key. The first is the one to write.
  const fingerprints = redis.sealingKeys.map((one) => createFingerprint(one.derive('lockout secrets')));
  const secrets = fingerprints.map((fingerprint) => fingerprint(authenticator, subject, password));
  const [secret = ''] = secrets;
  const redisTime = (monotonic = now()) => monotonic + redisClock.offset;
  const atLeast = () => settings().window + abandonedAfter;
  const note = () => noteName(redis, tried, redisTime(), atLeast());
  let last: Pick<SharedRecords, 'known' | 'attempts'> = { known: new Map(), attempts: [] };

  function read(fields: readonly string[], time: number, removed: number): SharedRecords {
    const seen = records.read(fields, time, { window: settings().window, abandonedAfter, knownFor });
    const gone = [...seen.foreign, ...seen.expired];
    if (gone.length > 0) redis.send('lockout', (client) => client.hdel(key, ...gone));
    if (removed + seen.foreign.length > 0) onForeign(removed + seen.foreign.length);
    last = seen;
    return seen;
  }
  /**
   * Takes a slot, if one is free, and reads what was in the hash before.
   *
   * @returns undefined when the time of the record was wrong, so that others do not believe it: take it once more
   * @throws RedisProblem
   */
  async function take({ id, limit, limitOfDouble, timeLimit }: Take) {
    const expected = redisTime();
    const own = records.write(attemptField(id), 'pending', expected, secret);
    const rest = [...own, limit, atLeast(), knownFor, mostFields(settings()), limitOfDouble, ...secrets];
    const work = (client: RedisClient) => client.eval(takeScript, 1, key, ...rest);
    const asking = timeLimit === undefined ? redis.ask('lockout', work) : redis.askWithin('lockout', timeLimit, work);
    const [hasSlot, time, removed, fields] = readReply(replySchema, await asking);
    redisClock.offset = time - now();
    const isBelieved = Math.abs(time - expected) <= tolerance;
    return isBelieved ? { ...read(fields, time, removed), hasSlot: hasSlot === 1 } : undefined;
  }
  /** Gives the slot back, or counts it; counts an attempt without a slot as well. No one waits for it. */
  function settle(id: string, outcome: AttemptOutcome, wasRight: boolean): void {
    // In this order: in a full Redis, a script that has removed something may still write.
    const gone = [attemptField(id), ...(outcome === 'unavailable' ? [] : secrets.map(knownField))];
    const come: string[] = [];
    if (outcome === 'refused') {
      // Several replicas may have sent what was right before, when Redis or the directory is slow. It counts once.
      const isOld = wasRight || secrets.some((one) => last.known.has(one));
      come.push(...records.write(attemptField(isOld ? secret : id), 'refused', redisTime(), secret));
      note();
    }
    if (outcome === 'accepted') {
      gone.push(...oldest(last.known, secrets).map(knownField));
      come.push(...records.write(knownField(secret), 'right', redisTime(), secret));
    }
    const rest = [outcome === 'accepted' ? knownFor : atLeast(), knownFor, gone.length, ...gone, ...come];
    redis.send('lockout', (client) => client.eval(changeScript, 1, key, ...rest));
  }
  /** When its secret was refused, in Redis' milliseconds, by the last reply; undefined: not in the window. */
  const isRefused = (one: SharedAttemptRecord) => one.state === 'refused' && secrets.includes(one.secret);
  const refusedAt = () => last.attempts.findLast(isRefused)?.time;
  return { secrets, redisTime, take, settle, note, refusedAt };
}

/** Those that were right longest ago, so that one more fits. */
function oldest(known: SharedRecords['known'], besides: readonly string[]): string[] {
  const others = [...known].filter(([one]) => !besides.includes(one)).sort(([, one], [, other]) => other - one);
  return others.slice(maxKnown - 1).map(([one]) => one);
}
