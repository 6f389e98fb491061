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
  abandonedAfter,
  createLocalGuard,
  type Identified,
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
 * A count is never dropped early to free memory, or a flood of names could reset the one that protects an account: with
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

  const guardOf = (authenticator: string): Attempts => ({
    async admit(name, password, signal, username = name) {
      const one = local.identify(authenticator, name, password, username);
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
        const mayDouble = isLate || (local.rightAt(one) ?? Number.NEGATIVE_INFINITY) >= begunAt;
        const own = local.decide(one, mayDouble);
        if (own === 'invalid-credentials')
          return denied(own, local.refusedAt(one), redisClock.offset);
        if (own === 'admit')
          return admitWithSlot({ local, one, shared, redisClock, signal }, settings().maxFailures);
        const answer =
          shared && (mayBeKnown || own === 'throttled') && !local.isKnown(one)
            ? await orGiveBack(() => shared.ask(0, local.rightAt(one)), { shared, signal })
            : undefined;
        if (answer === 'throttled') mayBeKnown = false;
        let admission = answer === undefined || answer === 'throttled' ? own : answer;
        // Redis knows it to be right: one at a time, even if the record of the one in progress was lost or removed there.
        if (admission === 'admit') {
          local.dropOutdated(one);
          admission = local.decide(one, mayDouble, true);
          if (admission === 'admit') return admitted(local.reserve(one, true), shared);
          shared?.settle('unavailable');
        }
        if (admission !== 'wait') return refuse({ local, one, shared, redisClock }, admission);
        // A secret that Redis knows to be right waits only for an attempt with the same secret, which any replica may have sent.
        const isRight = answer === 'admit' || answer === 'wait' || local.isKnown(one);
        if (local.decide(one, mayDouble, isRight) === 'wait') {
          if (isLate)
            throw new AuthenticatorError('failed', 'earlier logins of the same user take too long');
          await local.nextChange(one, signal, begunAt + maxWait - now());
        } else if (answer === 'wait') await shared?.pauseBetween(signal);
      }
    },
  });
  // `lockedOut` counts the users of an authenticator who are locked out, as far as this process knows.
  return Object.assign(guardOf, { unlock: unlockIn(local), lockedOut: local.lockedOut.count });
}

type NamesOfAuthenticator = Pick<AuthenticatorConfig, 'name' | 'username'>;

type LocalGuard = ReturnType<typeof createLocalGuard>;

function unlockIn({ clear }: Pick<LocalGuard, 'clear'>) {
  /** Forgets the refused attempts of a user that this process counts. @param name as Kubernetes sees it */
  return (name: string, authenticators: readonly NamesOfAuthenticator[]): void => {
    for (const { name: authenticator, username } of authenticators) {
      if (name.startsWith(username.prefix))
        clear(authenticator, name.slice(username.prefix.length));
    }
  };
}

/** One attempt that asks to be sent. `shared` is undefined if there is no shared Redis. */
interface LoginAttempt {
  readonly local: LocalGuard;
  readonly one: Identified;
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
async function admitWithSlot(attempt: LoginAttempt, maxFailures: number) {
  const { local, one, shared, signal } = attempt;
  const slot = local.reserve(one, local.isKnown(one));
  const askWhileItWaits = async (redis: SharedAttempt) => {
    for (;;) {
      const answer = await redis.ask(maxFailures, local.rightAt(one));
      if (answer !== 'wait') return answer;
      await redis.pauseBetween(signal);
    }
  };
  const answer =
    shared && (await orGiveBack(() => askWhileItWaits(shared), { shared, signal, slot }));
  if (answer === undefined || answer === 'admit') {
    if (!local.isKnown(one)) local.lockedOut.admitted(one);
    return admitted(slot, shared);
  }
  slot('unavailable');
  return refuse(attempt, answer);
}

interface Slots extends Pick<LoginAttempt, 'signal'> {
  readonly shared: SharedAttempt;
  readonly slot?: Slot;
}

/** Asks Redis. Gives all slots back when the caller has gone, or when it can't be known whether the attempt may be sent. */
async function orGiveBack<Answer>(
  ask: () => Promise<Answer>,
  { shared, signal, slot }: Slots,
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
  { local, one, shared, redisClock }: Omit<LoginAttempt, 'signal'>,
  reason: DeniedAttempt['reason'],
): DeniedAttempt {
  const refusedAt = shared?.refusedAt();
  if (reason === 'throttled') local.lockedOut.throttled(one);
  else if (refusedAt !== undefined) local.learnRefused(one, refusedAt);
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
