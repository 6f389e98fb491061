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
  readonly isOf: (one: Attempt) => boolean;
  readonly isKnown: boolean;
  readonly mayDouble: boolean;
  /** Says whether an attempt was counted in the last minute: see {@link maxLost}. */
  readonly isRecent: (attempt: Attempt) => boolean;
}

/**
 * Decides about one attempt. It is the one rule of the lockout guard, for what this process knows and for what all replicas know.
 *
 * @param attempts the attempts of the subject that count
 * @param isOf says whether a counted attempt had the secret that is to be sent
 * @param isKnown whether that secret was right the last time
 * @param mayDouble whether it may be sent while an attempt with the same secret is in progress. One secret never takes the last
 *   slot in this way: a new password, which no one has sent yet, still has its attempt
 * @param isRecent says whether a counted attempt was counted in the last minute
 * @param slots how many refused attempts are allowed. 0: it is sent only if its secret is known to be right
 */
export function decide<Attempt extends CountedAttempt>(
  attempts: readonly Attempt[],
  { isOf, isKnown, mayDouble, isRecent }: AttemptToSend<Attempt>,
  slots: number,
): Admission {
  const failures = attempts.filter(({ state }) => state !== 'pending');
  if (failures.some((one) => one.state === 'refused' && isOf(one))) return 'invalid-credentials';
  const lost = failures.filter((attempt) => attempt.state === 'abandoned' && isOf(attempt));
  const isRight = isKnown && (lost.length < maxLost || !lost.some(isRecent));
  const isDouble = attempts.some((one) => one.state === 'pending' && isOf(one));
  if (attempts.length < (isDouble ? slotsOfDouble(mayDouble, slots) : slots)) return 'admit';
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
export const slotsOfDouble = (mayDouble: boolean, slots: number): number =>
  mayDouble ? slots - 1 : 0;

/**
 * Makes digests under a key, by default a random one of this process: names and secrets are compared and never stored, and no
 * one can test passwords against a dump of the memory elsewhere.
 *
 * @returns equal only for equal lists of parts: in JSON ['a', 'bc'] and ['ab', 'c'] differ
 */
export function createFingerprint(
  key: Uint8Array = randomBytes(32),
): (...parts: string[]) => string {
  return (...parts) => createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url');
}

/**
 * An attempt that is not settled for this time counts as refused: its plugin has forgotten it, or its replica has died. A later
 * `settle` still corrects that. Milliseconds.
 */
export const abandonedAfter = 60_000;

/** How long an attempt waits for others, in milliseconds: longer than most binds take, and well below `timeout` (3 s). */
export const maxWait = 1_000;

/** An attempt to be sent. All but the authenticator are digests. */
export interface Identified {
  readonly authenticator: string;
  readonly subject: string;
  readonly secret: string;
  readonly user: string;
}

/** One attempt. It takes a slot of its subject while it counts. */
interface Attempt extends Identified, CountedAttempt {
  state: CountedAttempt['state'];
  /** When it was refused or abandoned, and until then when it began. Monotonic milliseconds. */
  at: number;
  /** Another replica sent it. */
  readonly isForeign?: boolean;
}

/** The attempts of one subject in the window, and functions that wake those that wait for a change of them. */
interface Page {
  attempts: readonly Attempt[];
  readonly waiting: Set<() => void>;
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

  const prune = (subject: string, page: Page) => {
    const since = now() - window();
    page.attempts = page.attempts.filter((one) => one.state === 'pending' || one.at > since);
    if (page.attempts.length === 0 && page.waiting.size === 0) pages.delete(subject);
  };
  const change = (subject: string, page: Page, attempts: readonly Attempt[]) => {
    page.attempts = attempts;
    for (const wake of page.waiting) wake();
    prune(subject, page);
  };
  return {
    attemptsOf(subject: string): readonly Attempt[] {
      for (const [other, page] of pages) {
        prune(other, page);
        if (pages.has(other)) break;
      }
      const page = pages.get(subject);
      if (page) prune(subject, page);
      return page?.attempts ?? [];
    },
    add(one: Attempt, isKnown: boolean) {
      const page = pages.get(one.subject) ?? { attempts: [], waiting: new Set() };
      if (!pages.has(one.subject) && pages.size >= maxSubjects && !isKnown) {
        throw new AuthenticatorError(
          'failed',
          `the lockout guard is full: ${maxSubjects} names have refused attempts`,
        );
      }
      page.attempts = [...page.attempts, one];
      pages.set(one.subject, page);
    },
    /** Gives the slot back, or counts the attempt from now on, until the window has passed. */
    settle(one: Attempt, as?: 'refused' | 'abandoned') {
      // An abandoned attempt has no page after its window. An outcome that is reported now still counts.
      const page = pages.get(one.subject) ?? { attempts: [], waiting: new Set() };
      const others = page.attempts.filter((other) => other !== one);
      if (as === undefined) {
        change(one.subject, page, others);
        return;
      }
      one.state = as;
      one.at = now();
      pages.delete(one.subject);
      pages.set(one.subject, page);
      change(one.subject, page, [...others, one]);
    },
    /** Gives the slots of attempts back that ended without an answer, or were refused elsewhere: their secret is right now. */
    dropOutdated({ subject, secret }: Identified) {
      const page = pages.get(subject);
      if (page === undefined) return;
      const isOutdated = (one: Attempt) =>
        one.secret === secret && (one.state === 'abandoned' || one.isForeign);
      const others = page.attempts.filter((one) => !isOutdated(one));
      // A change wakes those that wait, which come here again.
      if (others.length < page.attempts.length) change(subject, page, others);
    },
    /** Counts an attempt that another replica sent, unless there is no space for its name. */
    addRefused(identified: Identified, at: number) {
      const page = pages.get(identified.subject) ?? { attempts: [], waiting: new Set() };
      if (!pages.has(identified.subject) && pages.size >= maxSubjects) return;
      if (lastRefused(page.attempts, identified.secret) !== undefined) return;
      pages.set(identified.subject, page);
      const refused: Attempt = { ...identified, state: 'refused', at, isForeign: true };
      change(identified.subject, page, [...page.attempts, refused]);
    },
    clear(user: string) {
      for (const [subject, page] of pages) {
        const others = page.attempts.filter((one) => one.user !== user || one.state === 'pending');
        if (others.length < page.attempts.length) change(subject, page, others);
      }
    },
    /** Resolves when an attempt of the subject is given back or counted, or no attempt counts; else as {@link waitForWake}. */
    async nextChange(
      { subject }: Identified,
      signal: AbortSignal | undefined,
      limit: number,
    ): Promise<void> {
      const page = pages.get(subject);
      if (page) await waitForWake(page.waiting, signal, limit);
    },
  };
}

/**
 * Resolves when its function in `waiting` is called, and at the limit.
 *
 * @param limit milliseconds
 * @throws AuthenticatorError `failed` when `maxWaiting` wait already
 * @throws the reason of the signal when it is aborted
 */
async function waitForWake(
  waiting: Set<() => void>,
  signal: AbortSignal | undefined,
  limit: number,
): Promise<void> {
  if (waiting.size >= maxWaiting) {
    throw new AuthenticatorError(
      'failed',
      `too many concurrent logins for one user (${maxWaiting} waiting)`,
    );
  }
  let wake = () => {};
  let timer: NodeJS.Timeout;
  const begin = (resolve: () => void) => {
    wake = resolve;
    waiting.add(wake);
    // A late answer of Redis may leave no time to wait, and Node warns of a negative delay.
    timer = setTimeout(resolve, Math.max(0, limit));
  };
  const end = () => {
    waiting.delete(wake);
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
} as const satisfies Record<AttemptOutcome | 'abandoned', Attempt['state'] | undefined>;

/** When a secret was refused last, in monotonic milliseconds. Undefined: not in the window. */
const lastRefused = (attempts: readonly Attempt[], secret: string): number | undefined =>
  attempts.findLast((one) => one.state === 'refused' && one.secret === secret)?.at;

/** Keeps what this process knows of attempts, and decides by it. */
export function createLocalGuard(settings: () => LockoutConfig, options: LocalGuardOptions) {
  const { now } = options;
  const window = () => settings().window;
  const fingerprint = createFingerprint();
  const ledger = createLedger(now, window, options.maxSubjects);
  const lockedOut = createLockedOut(now, window, options.maxSubjects);
  /** Secrets that were right the last time they were sent, and when that was. `max` would allocate all slots immediately. */
  const known = new LRUCache<string, number>({
    maxSize: options.maxKnownSecrets,
    sizeCalculation: () => 1,
  });
  const isKnown = ({ secret }: Identified) => known.get(secret) !== undefined;
  const userOf = (authenticator: string, username: string) =>
    fingerprint('user', authenticator, username);

  return {
    lockedOut,
    identify: (
      authenticator: string,
      name: string,
      password: string,
      username: string,
    ): Identified => ({
      authenticator,
      subject: fingerprint(authenticator, name),
      secret: fingerprint(authenticator, name, password),
      user: userOf(authenticator, username),
    }),
    /** @param isRight whether the secret is known to be right. Default: whether this process knows that */
    decide(one: Identified, mayDouble: boolean, isRight = isKnown(one)): Admission {
      const isOf = ({ secret }: Attempt) => secret === one.secret;
      const isRecent = ({ at }: Attempt) => now() - at < options.abandonedAfter;
      const attempts = ledger.attemptsOf(one.subject);
      const admission = decide(
        attempts,
        { isOf, isKnown: isRight, mayDouble, isRecent },
        settings().maxFailures,
      );
      const pending = attempts.filter(({ state }) => state === 'pending');
      if (admission !== 'admit' || pending.length < maxInProgress) return admission;
      return isRight && pending.length === maxInProgress && !pending.some(isOf) ? 'admit' : 'wait';
    },
    refusedAt: ({ subject, secret }: Identified) => lastRefused(ledger.attemptsOf(subject), secret),
    /** Whether this process knows the secret to be right. This counts as a use of it. */
    isKnown,
    /** Gives slots back, since another replica knows the secret to be right. */
    dropOutdated: ledger.dropOutdated,
    /** When the secret was last right, in monotonic milliseconds. Undefined: it is not known to be right. */
    rightAt: ({ secret }: Identified) => known.peek(secret),
    /**
     * Remembers a secret that another replica knows to be wrong: Redis may lose its data.
     *
     * @param refusedAt monotonic milliseconds
     */
    learnRefused(identified: Identified, refusedAt: number) {
      known.delete(identified.secret);
      ledger.addRefused(identified, refusedAt);
    },
    /**
     * Takes a slot. An attempt that is not settled in time counts as refused, until it is settled.
     *
     * @param isRight whether the secret was right before. Then it is admitted even if there are too many subjects
     * @returns a function to be called once, with the outcome
     */
    reserve(identified: Identified, isRight: boolean): (outcome: AttemptOutcome) => void {
      const one: Attempt = { ...identified, state: 'pending', at: now() };
      ledger.add(one, isRight);
      const conclude = (outcome: AttemptOutcome | 'abandoned') => {
        if (outcome === 'accepted') {
          known.set(one.secret, now());
          ledger.dropOutdated(one);
        }
        if (outcome === 'refused') known.delete(one.secret);
        ledger.settle(one, countedAs[outcome]);
      };
      const timer = setTimeout(conclude, options.abandonedAfter, 'abandoned').unref();
      return (outcome) => {
        clearTimeout(timer);
        conclude(outcome);
      };
    },
    /** Forgets the counted attempts of a user. Attempts in progress go on. */
    clear(authenticator: string, username: string) {
      ledger.clear(userOf(authenticator, username));
      lockedOut.clear(userOf(authenticator, username));
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
  const locks = new Map<string, { readonly one: Identified; readonly at: number }>();
  return {
    throttled(one: Identified) {
      if (locks.size < maxLocked || locks.has(one.subject))
        locks.set(one.subject, { one, at: now() });
    },
    /** Ends a lock, since a password that was not known to be right was sent. */
    admitted: ({ subject }: Identified) => void locks.delete(subject),
    clear(user: string) {
      for (const [subject, { one }] of locks) if (one.user === user) locks.delete(subject);
    },
    count(authenticator: string): number {
      const since = now() - window();
      for (const [subject, { at }] of locks) if (at <= since) locks.delete(subject);
      return [...locks.values()].filter(({ one }) => one.authenticator === authenticator).length;
    },
  };
}
