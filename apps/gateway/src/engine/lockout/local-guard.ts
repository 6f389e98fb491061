import { createHmac, randomBytes } from 'node:crypto';
import { type AttemptOutcome, AuthenticatorError } from '@sallyport/authenticator';
import { LRUCache } from 'lru-cache';
import { bounded } from '../../base/deadlines.ts';
import type { LockoutConfig } from '../../config/types.ts';

/** Whether an attempt may be sent. `wait`: that depends on the outcome of the attempts in progress. */
export type Admission = 'admit' | 'wait' | 'invalid-credentials' | 'throttled';

/** An attempt that counts: it is in progress, or its window has not passed. */
export interface CountedAttempt {
  /** `abandoned`: no answer came, or its outcome was never reported. It counts, but its secret is not known to be wrong. */
  readonly state: 'pending' | 'refused' | 'abandoned';
}

/** What the rule must know of the attempt to send. */
interface AttemptToSend<Attempt extends CountedAttempt> {
  readonly hasSecret: (attempt: Attempt) => boolean;
  readonly isKnown: boolean;
  readonly mayDouble: boolean;
  /** Says whether an attempt was counted in the last minute: see {@link maxLost}. */
  readonly isRecent: (attempt: Attempt) => boolean;
}

/**
 * Decides about one attempt. It is the one rule of the lockout guard, for what this process knows and for what all replicas know.
 *
 * @param attempts the attempts of the subject that count
 * @param hasSecret says whether a counted attempt had the secret that is to be sent
 * @param isKnown whether that secret was right the last time
 * @param mayDouble whether it may be sent while an attempt with the same secret is in progress. One secret never takes the last
 *   slot in this way: a new password, which no one has sent yet, still has its attempt
 * @param isRecent says whether a counted attempt was counted in the last minute
 * @param slots how many refused attempts are allowed. 0: it is sent only if its secret is known to be right
 */
export function decideAdmission<Attempt extends CountedAttempt>(
  attempts: readonly Attempt[],
  { hasSecret, isKnown, mayDouble, isRecent }: AttemptToSend<Attempt>,
  slots: number,
): Admission {
  const failures = attempts.filter(({ state }) => state !== 'pending');
  if (failures.some((attempt) => attempt.state === 'refused' && hasSecret(attempt)))
    return 'invalid-credentials';
  const lost = failures.filter((attempt) => attempt.state === 'abandoned' && hasSecret(attempt));
  const isRight = isKnown && (lost.length < maxLost || !lost.some(isRecent));
  const isDouble = attempts.some((attempt) => attempt.state === 'pending' && hasSecret(attempt));
  if (attempts.length < (isDouble ? countDoubleSlots(mayDouble, slots) : slots)) return 'admit';
  if (isRight) return isDouble ? 'wait' : 'admit';
  return failures.length < slots ? 'wait' : 'throttled';
}

/**
 * How many attempts with a secret that was right may end without an answer in the window until it needs a slot as any other, but
 * for one attempt a minute: it may be wrong by now, and each answer that was lost may have been a refusal. After an outage of its
 * directory, a user gets in within that minute.
 */
const maxLost = 3;

/** Counts the slots for an attempt while another one with the same secret is in progress. */
export const countDoubleSlots = (mayDouble: boolean, slots: number): number =>
  mayDouble ? slots - 1 : 0;

/**
 * Makes digests under a key, by default a random one of this process: names and secrets are compared and never stored, and no
 * one can test passwords against a dump of the memory elsewhere.
 *
 * @returns equal only for equal lists of parts: in JSON ['a', 'bc'] and ['ab', 'c'] differ
 */
export function createFingerprint(
  key: Uint8Array = randomBytes(32),
): (...texts: string[]) => string {
  return (...texts) => createHmac('sha256', key).update(JSON.stringify(texts)).digest('base64url');
}

/**
 * An attempt that is not settled for this time counts as refused: its plugin has forgotten it, or its replica has died. A later
 * `settle` still corrects that. Milliseconds.
 */
export const abandonedAfter = 60_000;

/** How long an attempt waits for others, in milliseconds: longer than most binds take, and well below `timeout` (3 s). */
export const maxWait = 1_000;

/** An attempt to be sent. All but the authenticator are digests. */
export interface AttemptIdentity {
  readonly authenticator: string;
  readonly subject: string;
  readonly secret: string;
  readonly user: string;
}

/** One attempt. It takes a slot of its subject while it counts. */
interface LocalAttempt extends AttemptIdentity, CountedAttempt {
  state: CountedAttempt['state'];
  /** When it was refused or abandoned, and until then when it began. Monotonic milliseconds. */
  time: number;
  /** Another replica sent it. */
  readonly isForeign?: boolean;
}

/** The attempts of one subject in the window, and functions that wake those that wait for a change of them. */
interface Page {
  attempts: readonly LocalAttempt[];
  readonly wakers: Set<() => void>;
}

/**
 * The maximum number of attempts of one subject that wait: as many as a person's tools need at one time if no cache makes one
 * lookup of equal tokens, and a small part of an authenticator's `maxConcurrent` (100), which all names share.
 */
const maxWaiting = 8;

/** Keeps the attempts of all subjects. */
function createLedger(now: () => number, window: () => number, maxSubjects: number) {
  // The subjects are in the order of their last count, so that those whose window has passed come first.
  const pages = new Map<string, Page>();

  const openPage = (subject: string): Page =>
    pages.get(subject) ?? { attempts: [], wakers: new Set() };
  const prune = (subject: string, page: Page) => {
    const since = now() - window();
    page.attempts = page.attempts.filter(
      (attempt) => attempt.state === 'pending' || attempt.time > since,
    );
    if (page.attempts.length === 0 && page.wakers.size === 0) pages.delete(subject);
  };
  const change = (subject: string, page: Page, attempts: readonly LocalAttempt[]) => {
    page.attempts = attempts;
    for (const wake of page.wakers) wake();
    prune(subject, page);
  };
  const drop = (subject: string, page: Page, isDropped: (attempt: LocalAttempt) => boolean) => {
    const remaining = page.attempts.filter((attempt) => !isDropped(attempt));
    // A change wakes those that wait, which ask again.
    if (remaining.length < page.attempts.length) change(subject, page, remaining);
  };
  return {
    findAttempts(subject: string): readonly LocalAttempt[] {
      for (const [pageSubject, page] of pages) {
        prune(pageSubject, page);
        if (pages.has(pageSubject)) break;
      }
      const page = pages.get(subject);
      if (page) prune(subject, page);
      return page?.attempts ?? [];
    },
    add(attempt: LocalAttempt, isKnown: boolean) {
      const page = openPage(attempt.subject);
      if (!pages.has(attempt.subject) && pages.size >= maxSubjects && !isKnown) {
        throw new AuthenticatorError(
          'failed',
          `the lockout guard is full: ${maxSubjects} names have refused attempts`,
        );
      }
      page.attempts = [...page.attempts, attempt];
      pages.set(attempt.subject, page);
    },
    /** Gives the slot back, or counts the attempt from now on, until the window has passed. */
    settle(attempt: LocalAttempt, as?: 'refused' | 'abandoned') {
      // An abandoned attempt has no page after its window. An outcome that is reported now still counts.
      const page = openPage(attempt.subject);
      const remaining = page.attempts.filter((counted) => counted !== attempt);
      if (as === undefined) {
        change(attempt.subject, page, remaining);
        return;
      }
      attempt.state = as;
      attempt.time = now();
      pages.delete(attempt.subject);
      pages.set(attempt.subject, page);
      change(attempt.subject, page, [...remaining, attempt]);
    },
    /** Gives the slots of attempts back that ended without an answer, or were refused elsewhere: their secret is right now. */
    dropOutdated({ subject, secret }: AttemptIdentity) {
      const page = pages.get(subject);
      if (page === undefined) return;
      drop(subject, page, (attempt) => {
        return (
          attempt.secret === secret && (attempt.state === 'abandoned' || attempt.isForeign === true)
        );
      });
    },
    /** Counts an attempt that another replica sent, unless there is no space for its name. */
    addRefused(identity: AttemptIdentity, refusedAt: number) {
      const page = openPage(identity.subject);
      if (!pages.has(identity.subject) && pages.size >= maxSubjects) return;
      if (lastRefused(page.attempts, identity.secret) !== undefined) return;
      pages.set(identity.subject, page);
      const refused = { ...identity, state: 'refused', time: refusedAt, isForeign: true } as const;
      change(identity.subject, page, [...page.attempts, refused]);
    },
    clear(user: string) {
      for (const [subject, page] of pages)
        drop(subject, page, (attempt) => attempt.user === user && attempt.state !== 'pending');
    },
    /** Resolves when an attempt of the subject is given back or counted, or no attempt counts; else as {@link waitForWake}. */
    async nextChange(
      { subject }: AttemptIdentity,
      signal: AbortSignal | undefined,
      limit: number,
    ): Promise<void> {
      const page = pages.get(subject);
      if (page) await waitForWake(page.wakers, signal, limit);
    },
  };
}

/**
 * Resolves when its function in `wakers` is called, and at the limit.
 *
 * @param limit milliseconds
 * @throws AuthenticatorError `failed` when `maxWaiting` wait already
 * @throws the reason of the signal when it is aborted
 */
async function waitForWake(
  wakers: Set<() => void>,
  signal: AbortSignal | undefined,
  limit: number,
): Promise<void> {
  if (wakers.size >= maxWaiting) {
    throw new AuthenticatorError(
      'failed',
      `too many concurrent logins for one user (${maxWaiting} waiting)`,
    );
  }
  let wake = () => {};
  let timer: NodeJS.Timeout;
  const begin = (resolve: () => void) => {
    wake = resolve;
    wakers.add(wake);
    // A late answer of Redis may leave no time to wait, and Node warns of a negative delay.
    timer = setTimeout(resolve, Math.max(0, limit));
  };
  const end = () => {
    wakers.delete(wake);
    clearTimeout(timer);
  };
  await bounded<void>({ signal }, begin, end);
}

/**
 * The maximum number of attempts of one subject in progress. What a directory does for one user may take long, and all users
 * share its connections. A secret that was right has one slot more, so that guesses never take the last one.
 */
const maxInProgress = 3;

export interface LocalGuardOptions {
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number;
  /** The maximum number of names with attempts. */
  readonly maxSubjects: number;
  /** The maximum number of secrets that are known to be right. */
  readonly maxKnownSecrets: number;
  /** See {@link abandonedAfter}. Milliseconds. */
  readonly abandonedAfter: number;
}

/** As what an outcome counts. Undefined: it does not count. */
const countedAs = {
  accepted: undefined,
  unavailable: undefined,
  refused: 'refused',
  unanswered: 'abandoned',
  abandoned: 'abandoned',
} as const satisfies Record<AttemptOutcome | 'abandoned', LocalAttempt['state'] | undefined>;

/** When a secret was refused last, in monotonic milliseconds. Undefined: not in the window. */
const lastRefused = (attempts: readonly LocalAttempt[], secret: string): number | undefined =>
  attempts.findLast((attempt) => attempt.state === 'refused' && attempt.secret === secret)?.time;

/** Keeps what this process knows of attempts, and decides by it. */
export function createLocalGuard(settings: () => LockoutConfig, options: LocalGuardOptions) {
  const { now } = options;
  const window = () => settings().window;
  const fingerprint = createFingerprint();
  const ledger = createLedger(now, window, options.maxSubjects);
  const lockedOut = createLockedOut(now, window, options.maxSubjects);
  /** Secrets that were right the last time they were sent, and when that was. `max` would allocate all slots immediately. */
  const rightSecrets = new LRUCache<string, number>({
    maxSize: options.maxKnownSecrets,
    sizeCalculation: () => 1,
  });
  const isKnown = ({ secret }: AttemptIdentity) => rightSecrets.get(secret) !== undefined;
  const fingerprintUser = (authenticator: string, username: string) =>
    fingerprint('user', authenticator, username);

  return {
    lockedOut,
    identify(authenticator: string, name: string, password: string, username: string) {
      const subject = fingerprint(authenticator, name);
      const secret = fingerprint(authenticator, name, password);
      return { authenticator, subject, secret, user: fingerprintUser(authenticator, username) };
    },
    /** @param isRight whether the secret is known to be right. Default: whether this process knows that */
    decide(identity: AttemptIdentity, mayDouble: boolean, isRight = isKnown(identity)): Admission {
      const hasSecret = ({ secret }: LocalAttempt) => secret === identity.secret;
      const isRecent = ({ time }: LocalAttempt) => now() - time < options.abandonedAfter;
      const attempts = ledger.findAttempts(identity.subject);
      const admission = decideAdmission(
        attempts,
        { hasSecret, isKnown: isRight, mayDouble, isRecent },
        settings().maxFailures,
      );
      const pending = attempts.filter(({ state }) => state === 'pending');
      if (admission !== 'admit' || pending.length < maxInProgress) return admission;
      return isRight && pending.length === maxInProgress && !pending.some(hasSecret)
        ? 'admit'
        : 'wait';
    },
    refusedAt: ({ subject, secret }: AttemptIdentity) =>
      lastRefused(ledger.findAttempts(subject), secret),
    /** Whether this process knows the secret to be right. This counts as a use of it. */
    isKnown,
    /** Gives slots back, since another replica knows the secret to be right. */
    dropOutdated: ledger.dropOutdated,
    /** When the secret was last right, in monotonic milliseconds. Undefined: it is not known to be right. */
    rightAt: ({ secret }: AttemptIdentity) => rightSecrets.peek(secret),
    /**
     * Remembers a secret that another replica knows to be wrong: Redis may lose its data.
     *
     * @param refusedAt monotonic milliseconds
     */
    learnRefused(identity: AttemptIdentity, refusedAt: number) {
      rightSecrets.delete(identity.secret);
      ledger.addRefused(identity, refusedAt);
    },
    /**
     * Takes a slot. An attempt that is not settled in time counts as refused, until it is settled.
     *
     * @param isRight whether the secret was right before. Then it is admitted even if there are too many subjects
     * @returns a function to be called once, with the outcome
     */
    reserve(identity: AttemptIdentity, isRight: boolean): (outcome: AttemptOutcome) => void {
      const attempt: LocalAttempt = { ...identity, state: 'pending', time: now() };
      ledger.add(attempt, isRight);
      const conclude = (outcome: AttemptOutcome | 'abandoned') => {
        if (outcome === 'accepted') {
          rightSecrets.set(attempt.secret, now());
          ledger.dropOutdated(attempt);
        }
        if (outcome === 'refused') rightSecrets.delete(attempt.secret);
        ledger.settle(attempt, countedAs[outcome]);
      };
      const timer = setTimeout(conclude, options.abandonedAfter, 'abandoned').unref();
      return (outcome) => {
        clearTimeout(timer);
        conclude(outcome);
      };
    },
    /** Forgets the counted attempts of a user. Attempts in progress go on. */
    clear(authenticator: string, username: string) {
      ledger.clear(fingerprintUser(authenticator, username));
      lockedOut.clear(fingerprintUser(authenticator, username));
    },
    nextChange: ledger.nextChange,
  };
}

/**
 * Keeps who is locked out, as far as this process knows: it refused one of their attempts as throttled. A lock ends when the
 * window of the last refused attempt has passed. That attempt was before the last throttled one, so a subject without a new
 * attempt is dropped one window after the throttled one, at the latest.
 */
function createLockedOut(now: () => number, window: () => number, maxLocked: number) {
  const locks = new Map<string, { readonly identity: AttemptIdentity; readonly time: number }>();
  return {
    throttled(identity: AttemptIdentity) {
      if (locks.size < maxLocked || locks.has(identity.subject))
        locks.set(identity.subject, { identity, time: now() });
    },
    /** Ends a lock, since a password that was not known to be right was sent. */
    admitted: ({ subject }: AttemptIdentity) => void locks.delete(subject),
    clear(user: string) {
      for (const [subject, { identity }] of locks)
        if (identity.user === user) locks.delete(subject);
    },
    count(authenticator: string): number {
      const since = now() - window();
      for (const [subject, { time }] of locks) if (time <= since) locks.delete(subject);
      return [...locks.values()].filter(({ identity }) => identity.authenticator === authenticator)
        .length;
    },
  };
}
