import {
  type AdmittedAttempt,
  type AttemptOutcome,
  type Attempts,
  AuthenticatorError,
  type DeniedAttempt,
} from '@sallyport/authenticator';
import { pause } from '../../base/deadlines.ts';
import type { AuthenticatorConfig, LockoutConfig } from '../../config/types.ts';
import type { SharedRedis } from '../shared-redis/shared-redis.ts';
import {
  type AttemptIdentity,
  abandonedAfter,
  createLocalGuard,
  type LocalGuardOptions,
  maxWait,
} from './local-guard.ts';
import {
  createSharedAttempt,
  type SharedAttempt,
  type SharedAttemptDependencies,
} from './shared-attempt.ts';

export interface AttemptsDependencies
  extends Partial<LocalGuardOptions>,
    Partial<Pick<SharedAttemptDependencies, 'onForeign' | 'random' | 'pause'>> {
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number;
  /** The Redis that all replicas share, if there is one. Called at each attempt, so that a reload takes effect immediately. */
  readonly shared?: () => SharedRedis | undefined;
}

/**
 * Makes the lockout guard of this process: its counts outlive a reload of the config. Each authenticator has its own counts, as
 * its directory has.
 *
 * At most `maxFailures` attempts of a subject are refused in any `window`. An attempt takes its slot before it is sent. While
 * attempts in progress have the last slots, others wait for these to end, so that many first logins at the same time are not
 * throttled. They wait 1 s at most, and only a few may wait: each takes one of the authenticator's slots, which all users share.
 * Attempts with one secret are sent one after the other: an old password that many tools and replicas have at one moment is
 * refused once, and the other attempts are not sent. When it is right, those that waited are sent immediately. If the directory
 * takes longer than they may wait, they take slots of their own, but never the last one: a new password still has its attempt.
 * A secret that was right the last time is always sent, one at a time: if the password has changed since then, that
 * costs one more refused attempt for each such secret, once.
 *
 * With a shared Redis, these rules apply to all replicas together. What this process refused in the window is never sent
 * again. About everything else Redis is asked too: it may have no slot left, and it may know a secret to be right that this
 * process has never seen. For a secret that neither knows, both must have a slot. While Redis is down, this process decides
 * alone. The guard waits for a slow Redis, unless this process knows the secret to be right.
 *
 * A count is never dropped early to free memory, or a flood of names could reset the count that protects an account: with
 * `maxSubjects` names counted, a new name can't be checked until a window ends (secrets that this process knows to be
 * right are still sent). The `maxKnownSecrets` right secrets that were used last are known.
 *
 * @param settings called at each attempt, so that a reload takes effect immediately
 */
export function createAttempts(settings: () => LockoutConfig, dependencies: AttemptsDependencies) {
  const { now } = dependencies;
  const limits = { maxSubjects: 100_000, maxKnownSecrets: 50_000, abandonedAfter, ...dependencies };
  const local = createLocalGuard(settings, limits);
  // Until Redis has answered once, its clock is taken to be this process' own.
  const redisClock = { offset: Date.now() - now() };
  const replicated = {
    random: Math.random,
    pause,
    onForeign: () => undefined,
    ...limits,
    settings,
    redisClock,
  };

  const createGuard = (authenticator: string): Attempts => ({
    async admit(name, password, signal, username = name) {
      const identity = local.identify(authenticator, name, password, username);
      const redis = dependencies.shared?.();
      const login = { authenticator, subject: name, username, password };
      const shared = redis && createSharedAttempt(redis, login, replicated);
      // Without a slot here, Redis is asked once whether it knows the secret, and again before the secret is refused: another
      // replica may have found it right since. If this process knows the secret, Redis is not asked.
      let mayBeKnown = true;
      const begunAt = now();
      for (;;) {
        const isLate = now() - begunAt >= maxWait;
        // The secret was right after this attempt had begun to wait, or the directory is slow.
        const mayDouble =
          isLate || (local.rightAt(identity) ?? Number.NEGATIVE_INFINITY) >= begunAt;
        const localAdmission = local.decide(identity, mayDouble);
        if (localAdmission === 'invalid-credentials')
          return denied(localAdmission, local.refusedAt(identity), redisClock.offset);
        if (localAdmission === 'admit')
          return admitWithSlot(
            { local, identity, shared, redisClock, signal },
            settings().maxFailures,
          );
        const answer =
          shared && (mayBeKnown || localAdmission === 'throttled') && !local.isKnown(identity)
            ? await askOrGiveBack(() => shared.ask(0, local.rightAt(identity)), { shared, signal })
            : undefined;
        if (answer === 'throttled') mayBeKnown = false;
        let admission = answer === undefined || answer === 'throttled' ? localAdmission : answer;
        // Redis knows it to be right: one at a time, even if the record of the one in progress was lost or removed there.
        if (admission === 'admit') {
          local.dropOutdated(identity);
          admission = local.decide(identity, mayDouble, true);
          if (admission === 'admit') return admitted(local.reserve(identity, true), shared);
          shared?.settle('unavailable');
        }
        if (admission !== 'wait') return refuse({ local, identity, shared, redisClock }, admission);
        // A secret that Redis knows to be right waits only for an attempt with the same secret, which any replica may have sent.
        const isRight = answer === 'admit' || answer === 'wait' || local.isKnown(identity);
        if (local.decide(identity, mayDouble, isRight) === 'wait') {
          if (isLate)
            throw new AuthenticatorError('failed', 'earlier logins of the same user take too long');
          await local.nextChange(identity, signal, begunAt + maxWait - now());
        } else if (answer === 'wait') await shared?.pauseBetween(signal);
      }
    },
  });
  // `lockedOut` counts the users of an authenticator who are locked out, as far as this process knows.
  return Object.assign(createGuard, {
    /** Forgets the refused attempts of a user that this process counts. @param name as Kubernetes sees it */
    unlock(
      name: string,
      authenticators: readonly Pick<AuthenticatorConfig, 'name' | 'username'>[],
    ) {
      for (const { name: authenticator, username } of authenticators) {
        if (name.startsWith(username.prefix))
          local.clear(authenticator, name.slice(username.prefix.length));
      }
    },
    lockedOut: local.lockedOut.count,
  });
}

type LocalGuard = ReturnType<typeof createLocalGuard>;

/** One attempt that asks to be sent. `shared` is undefined if there is no shared Redis. */
interface AttemptInProgress {
  readonly local: LocalGuard;
  readonly identity: AttemptIdentity;
  readonly shared: SharedAttempt | undefined;
  readonly redisClock: SharedAttemptDependencies['redisClock'];
  readonly signal: AbortSignal | undefined;
}

/** Settles a slot in this process. It is called once. */
type Slot = (outcome: AttemptOutcome) => void;

/**
 * Admits an attempt that has a slot here, unless Redis refuses it. The slot is taken before Redis is asked, since others ask here
 * at the same time, and kept while Redis says to wait: only attempts that were sent have slots there, so no two wait for each
 * other, and those behind it here ask less often.
 */
async function admitWithSlot(attempt: AttemptInProgress, maxFailures: number) {
  const { local, identity, shared, signal } = attempt;
  const slot = local.reserve(identity, local.isKnown(identity));
  const askWhileItWaits = async (redis: SharedAttempt) => {
    for (;;) {
      const answer = await redis.ask(maxFailures, local.rightAt(identity));
      if (answer !== 'wait') return answer;
      await redis.pauseBetween(signal);
    }
  };
  const answer =
    shared && (await askOrGiveBack(() => askWhileItWaits(shared), { shared, signal, slot }));
  if (answer === undefined || answer === 'admit') {
    if (!local.isKnown(identity)) local.lockedOut.admitted(identity);
    return admitted(slot, shared);
  }
  slot('unavailable');
  return refuse(attempt, answer);
}

interface TakenSlots extends Pick<AttemptInProgress, 'signal'> {
  readonly shared: SharedAttempt;
  readonly slot?: Slot;
}

/** Asks Redis. Gives all slots back when the caller has gone, or when it can't be known whether the attempt may be sent. */
async function askOrGiveBack<Answer>(
  ask: () => Promise<Answer>,
  { shared, signal, slot }: TakenSlots,
): Promise<Answer> {
  try {
    const answer = await ask();
    signal?.throwIfAborted();
    return answer;
  } catch (error) {
    shared.settle('unavailable');
    slot?.('unavailable');
    throw error;
  }
}

function refuse(
  { local, identity, shared, redisClock }: Omit<AttemptInProgress, 'signal'>,
  reason: DeniedAttempt['reason'],
): DeniedAttempt {
  const refusedAt = shared?.refusedAt();
  if (reason === 'throttled') local.lockedOut.throttled(identity);
  else if (refusedAt !== undefined) local.learnRefused(identity, refusedAt);
  return denied(reason, refusedAt, redisClock.offset);
}

/** @param refusedAt monotonic milliseconds. @param offset difference from these to milliseconds since 1970 */
function denied(
  reason: DeniedAttempt['reason'],
  refusedAt: number | undefined,
  offset: number,
): DeniedAttempt {
  return {
    admitted: false,
    reason,
    ...(refusedAt !== undefined && { refusedAt: new Date(refusedAt + offset) }),
  };
}

function admitted(slot: Slot, shared: SharedAttempt | undefined): AdmittedAttempt {
  let settled = false;
  return {
    admitted: true,
    async settle(outcome) {
      if (settled) return;
      settled = true;
      // Redis first: an attempt that waits here for this slot asks there next.
      shared?.settle(outcome);
      slot(outcome);
    },
  };
}
