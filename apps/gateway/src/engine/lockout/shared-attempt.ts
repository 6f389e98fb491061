import { randomUUID } from 'node:crypto';
import { type AttemptOutcome, AuthenticatorError } from '@sallyport/authenticator';
import { type ProblemKind, type RedisClient, RedisProblem } from '@sallyport/redis-connection';
import { z } from 'zod';
import type { pause } from '../../base/deadlines.ts';
import type { LockoutConfig } from '../../config/types.ts';
import { readReply } from '../shared-redis/read-reply.ts';
import type { SharedRedis } from '../shared-redis/shared-redis.ts';
import {
  type Admission,
  countDoubleSlots,
  createFingerprint,
  decideAdmission,
  maxWait,
} from './local-guard.ts';
import { type CountedName, makeSubjectKey, noteName } from './shared-lockouts.ts';
import {
  attemptField,
  createRecords,
  knownField,
  type SharedAttemptRecord,
  type SharedRecords,
  tolerance,
} from './shared-records.ts';
import { changeHashScript, takeSlotScript } from './shared-scripts.ts';

/** What is sent to the backend, in clear. It stays in this process. */
interface AttemptedLogin extends CountedName {
  readonly password: string;
}

export interface SharedAttemptDependencies {
  readonly settings: () => LockoutConfig;
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number;
  readonly abandonedAfter: number;
  /** Redis' time minus the monotonic time, in milliseconds, by the last reply. All attempts share it. */
  readonly redisClock: { offset: number };
  /** Called with how many records in that Redis were removed because no gateway with its sealing keys wrote them. */
  readonly onForeign: (records: number) => void;
  /** Returns a number from 0 up to, but not including, 1. */
  readonly random: () => number;
  /** Waits between two questions whether other replicas still have the last slots. */
  readonly pause: typeof pause;
}

/**
 * The time between two questions, which grows by half up to the maximum: a bind takes some milliseconds, or seconds.
 * Milliseconds.
 */
const [minPause, maxPause] = [50, 250];
/**
 * The maximum number of calls for one question: one more to learn Redis' clock, and one more past foreign or expired records.
 */
const maxCalls = 3;

/**
 * Problems with which Redis may be healthy and only busy. A node of a cluster that is down has the same kind as a late one.
 */
const lateKinds: ReadonlySet<ProblemKind> = new Set(['timeout', 'node']);

export type SharedAttempt = ReturnType<typeof createSharedAttempt>;

/** One attempt, as all replicas see it. */
export function createSharedAttempt(
  redis: SharedRedis,
  login: AttemptedLogin,
  dependencies: SharedAttemptDependencies,
) {
  const { now, random } = dependencies;
  const hash = createSharedHash(redis, login, dependencies);
  let id: string = randomUUID();
  let wait = minPause;
  const begunAt = now();
  /** When the waiting ends, once it has begun. */
  let until: number | undefined;
  /** Whether this replica knew its secret to be right, when it asked last. */
  let wasRight = false;

  /** Reports an outcome in the background, even if Redis was not asked about the attempt, or did not answer. */
  const settle = (outcome: AttemptOutcome) => {
    hash.settle(id, outcome, wasRight);
    // A new id from now on, since the outcome of this one may still be on its way.
    id = randomUUID();
  };
  /**
   * Takes a slot, and then says `admit`. `wait`: others have the last slots; ask again after a pause.
   *
   * @param slots how many refused attempts are allowed in the window. 0: it is sent only if its secret is known to be right
   * @param rightAt when this replica last found its secret right, in monotonic milliseconds. Undefined: it never did
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
      const inquiry = { id, slots, rightAt, timeLimit, begunAt, mayDouble };
      const { admission, hasSlot } = await inquire(hash, inquiry);
      if (admission !== 'admit' && hasSlot) settle('unavailable');
      // The name of counted attempts may be missing: they were never settled, or Redis has lost it. Commands find it from now on.
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
      // While a connection is being made, the error comes immediately.
      if (isLate && slots > 0 && until !== undefined && now() < until) return 'wait';
      // The attempt may have a slot, and only the answer was lost.
      if (slots === 0) settle('unavailable');
      if (!isLate || slots === 0 || error.kind === 'node') return undefined;
      throw new AuthenticatorError(
        'failed',
        'the cache Redis is too slow to say whether this user has attempts left',
      );
    }
    if (rightAt !== undefined) return undefined;
    throw new AuthenticatorError('failed', 'attempts of this name elsewhere take too long');
  }
  /** Waits until the next question. @throws the reason of the signal when it is aborted */
  async function pauseBetween(signal: AbortSignal | undefined): Promise<void> {
    // Half of the time is random: attempts that wait must not all ask again at the same moment.
    const timeLeft = Math.max(0, (until ?? Number.POSITIVE_INFINITY) - now());
    await dependencies.pause(Math.min(wait * (0.5 + random()), timeLeft), signal);
    wait = Math.min(wait * 1.5, maxPause);
  }
  return { ask, pauseBetween, settle, refusedAt: hash.refusedAt };
}

interface Take {
  readonly id: string;
  /** How many other records of attempts there may be, foreign ones included; `any`: it takes a slot in any case. */
  readonly limit: number | 'any';
  /** The limit while an attempt with the same secret is in progress. */
  readonly limitOfDouble: number | 'any';
  /** Milliseconds. Undefined: `redis.timeout`. */
  readonly timeLimit: number | undefined;
}

interface Inquiry extends Pick<Take, 'id' | 'timeLimit'> {
  readonly slots: number;
  readonly rightAt: number | undefined;
  readonly mayDouble: boolean;
  /** Monotonic milliseconds. A secret that was right since then need not wait for another attempt with it. */
  readonly begunAt: number;
}

/** Asks in one round trip, unless Redis' clock was not known, or there are records that do not count. */
async function inquire(
  hash: ReturnType<typeof createSharedHash>,
  { id, slots, rightAt, timeLimit, begunAt, mayDouble }: Inquiry,
): Promise<{ readonly admission: Admission; readonly hasSlot: boolean }> {
  // A secret that this replica knows to be right needs no free slot.
  let limit: Take['limit'] = rightAt === undefined ? slots : 'any';
  let limitOfDouble: Take['limit'] = countDoubleSlots(mayDouble, slots);
  for (let call = 0; call < maxCalls; call++) {
    const snapshot = await hash.take({ id, limit, limitOfDouble, timeLimit });
    if (snapshot === undefined) continue;
    // A secret that was right here after it was refused elsewhere is right.
    const rightSince = rightAt === undefined ? Number.NEGATIVE_INFINITY : hash.redisTime(rightAt);
    const hasSecret = ({ secret, state, time }: SharedAttemptRecord) =>
      hash.secrets.includes(secret) && (state !== 'refused' || time > rightSince);
    const knownAt = Math.max(
      rightSince,
      ...hash.secrets.map((secret) => snapshot.rightTimes.get(secret) ?? Number.NEGATIVE_INFINITY),
    );
    const isKnown = knownAt > Number.NEGATIVE_INFINITY;
    const wasRightSince = knownAt >= hash.redisTime(begunAt);
    const admission = decideAdmission(
      snapshot.attempts,
      { hasSecret, isKnown, mayDouble: mayDouble || wasRightSince, isRecent: hash.isRecent },
      slots,
    );
    if (admission !== 'admit' || snapshot.hasSlot) return { admission, hasSlot: snapshot.hasSlot };
    limit = 'any';
    limitOfDouble = 'any';
  }
  throw new RedisProblem('timeout', 'the clock of the cache Redis differs at each call');
}

/** A secret that was right is known for this time. After it, an attempt with it is no longer always sent. Milliseconds. */
const knownFor = 30 * 24 * 60 * 60 * 1000;
/**
 * The maximum number of right secrets of one subject: a password, and others that a directory accepts (such as application
 * tokens).
 */
const maxKnown = 8;
/** The maximum number of fields of a hash: two for each refused attempt that is allowed, and some more. */
const maxFields = ({ maxFailures }: LockoutConfig): number => 256 + 2 * maxFailures;

/** See `takeSlotScript`. */
const replySchema = z.tuple([z.int(), z.int(), z.int(), z.array(z.string())]);

/** What all replicas know of the attempts of one subject, for an attempt with one secret. */
function createSharedHash(
  redis: SharedRedis,
  login: AttemptedLogin,
  dependencies: SharedAttemptDependencies,
) {
  const { settings, now, abandonedAfter, redisClock, onForeign } = dependencies;
  const { authenticator, subject, password } = login;
  const key = makeSubjectKey(redis, login);
  const records = createRecords(redis, key);
  // There is a fingerprint under each sealing key. The first one is written.
  const fingerprints = redis.sealingKeys.map((sealingKey) =>
    createFingerprint(sealingKey.derive('lockout secrets')),
  );
  const secrets = fingerprints.map((fingerprint) => fingerprint(authenticator, subject, password));
  const [secret = ''] = secrets;
  const redisTime = (monotonic = now()) => monotonic + redisClock.offset;
  const minLifetime = () => settings().window + abandonedAfter;
  const note = () => noteName(redis, login, redisTime(), minLifetime());
  let last: Pick<SharedRecords, 'rightTimes' | 'attempts'> = {
    rightTimes: new Map(),
    attempts: [],
  };

  function read(fields: readonly string[], time: number, removed: number): SharedRecords {
    const lifetimes = { window: settings().window, abandonedAfter, knownFor };
    const current = records.read(fields, time, lifetimes);
    const staleFields = [...current.foreign, ...current.expired];
    if (staleFields.length > 0) redis.send('lockout', (client) => client.hdel(key, ...staleFields));
    if (removed + current.foreign.length > 0) onForeign(removed + current.foreign.length);
    last = current;
    return current;
  }
  /**
   * Takes a slot, if one is free, and reads what was in the hash before.
   *
   * @returns undefined when the time of the record was wrong, so that others ignore it: take the slot again
   * @throws RedisProblem
   */
  async function take({ id, limit, limitOfDouble, timeLimit }: Take) {
    const expected = redisTime();
    const record = records.write(attemptField(id), 'pending', expected, secret);
    const args = [
      ...record,
      limit,
      minLifetime(),
      knownFor,
      maxFields(settings()),
      limitOfDouble,
      ...secrets,
    ];
    const work = (client: RedisClient) => client.eval(takeSlotScript, 1, key, ...args);
    const pendingReply =
      timeLimit === undefined
        ? redis.ask('lockout', work)
        : redis.askWithin('lockout', timeLimit, work);
    const [hasSlot, time, removed, fields] = readReply(replySchema, await pendingReply);
    redisClock.offset = time - now();
    const isBelieved = Math.abs(time - expected) <= tolerance;
    return isBelieved ? { ...read(fields, time, removed), hasSlot: hasSlot === 1 } : undefined;
  }
  /** Gives the slot back, or counts it; counts an attempt without a slot as well. No one waits for it. */
  function settle(id: string, outcome: AttemptOutcome, wasRight: boolean): void {
    const attempt = { id, outcome, wasRight, time: redisTime() };
    const knownRecords = { records, secrets, last, abandonedAfter };
    const { removedFields, addedFields } = makeChanges(attempt, knownRecords);
    if (outcome === 'refused' || outcome === 'unanswered') note();
    const args = [
      outcome === 'accepted' ? knownFor : minLifetime(),
      knownFor,
      removedFields.length,
      ...removedFields,
      ...addedFields,
    ];
    redis.send('lockout', (client) => client.eval(changeHashScript, 1, key, ...args));
  }
  /** When its secret was refused, in monotonic milliseconds, by the last reply. Undefined: not in the window. */
  const refusedAt = () => {
    const refused = last.attempts.findLast(
      (attempt) => attempt.state === 'refused' && secrets.includes(attempt.secret),
    );
    return refused && refused.time - redisClock.offset;
  };
  const isRecent = ({ time }: SharedAttemptRecord) => redisTime() - time < abandonedAfter;
  return { secrets, redisTime, take, settle, note, refusedAt, isRecent };
}

interface EndedAttempt {
  readonly id: string;
  readonly outcome: AttemptOutcome;
  readonly wasRight: boolean;
  /** Redis' milliseconds. */
  readonly time: number;
}

interface KnownRecords extends Pick<SharedAttemptDependencies, 'abandonedAfter'> {
  readonly records: ReturnType<typeof createRecords>;
  /** The secret of the attempt under each sealing key. */
  readonly secrets: readonly string[];
  readonly last: Pick<SharedRecords, 'rightTimes' | 'attempts'>;
}

/** Makes the changes of a hash by an attempt that has ended: first which fields go, since a full Redis takes no others before. */
function makeChanges(
  { id, outcome, wasRight, time }: EndedAttempt,
  { records, secrets, last, abandonedAfter }: KnownRecords,
): { readonly removedFields: readonly string[]; readonly addedFields: readonly string[] } {
  const [secret = ''] = secrets;
  const ownField = attemptField(id);
  const allKnown = secrets.map(knownField);
  switch (outcome) {
    case 'unavailable':
      return { removedFields: [ownField], addedFields: [] };
    case 'unanswered':
      // As if it had begun so long ago that no one waits for its outcome any more: older gateways read that, too.
      return {
        removedFields: [ownField],
        addedFields: records.write(ownField, 'pending', time - abandonedAfter, secret),
      };
    case 'refused': {
      // Several replicas may have sent what was right before, when Redis or the directory is slow. It counts once.
      const isOld = wasRight || secrets.some((candidate) => last.rightTimes.has(candidate));
      const field = attemptField(isOld ? secret : id);
      return {
        removedFields: [ownField, ...allKnown],
        addedFields: records.write(field, 'refused', time, secret),
      };
    }
    case 'accepted': {
      const unanswered = last.attempts.filter(
        (attempt) => attempt.state === 'abandoned' && secrets.includes(attempt.secret),
      );
      const outdated = [
        ...unanswered.map(({ field }) => field),
        ...findOldest(last.rightTimes, secrets).map(knownField),
      ];
      return {
        removedFields: [ownField, ...allKnown, ...outdated],
        addedFields: records.write(knownField(secret), 'right', time, secret),
      };
    }
  }
}

/** Finds the secrets that were right longest ago, so that one more fits. */
function findOldest(rightTimes: SharedRecords['rightTimes'], except: readonly string[]): string[] {
  const candidates = [...rightTimes]
    .filter(([secret]) => !except.includes(secret))
    .sort(([, a], [, b]) => b - a);
  return candidates.slice(maxKnown - 1).map(([secret]) => secret);
}
