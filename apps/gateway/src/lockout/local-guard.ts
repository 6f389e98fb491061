import { createHmac, randomBytes } from 'node:crypto';
import { type AttemptOutcome, AuthenticatorError } from '@sallyport/authenticator';
import { LRUCache } from 'lru-cache';
import type { LockoutConfig } from '../config/types.ts';
import { bounded } from '../deadlines.ts';

/** `wait`: whether it may be sent depends on the outcome of the attempts in progress. */
export type Admission = 'admit' | 'wait' | 'invalid-credentials' | 'throttled';

/** An attempt that counts: it is in progress, or its window has not passed. */
export interface CountedAttempt {
  /** `abandoned`: its outcome was never reported, so it counts, and its secret is not known to be wrong. */
  readonly state: 'pending' | 'refused' | 'abandoned';
}

/** What the rule must know of the secret to send. */
interface AttemptQuestion<Attempt extends CountedAttempt> {
  readonly isOf: (one: Attempt) => boolean;
  readonly isKnown: boolean;
  readonly mayDouble: boolean;
}

/**
 * The one rule of the lockout guard, for what this process knows and for what all replicas know.
 *
 * @param isOf whether an attempt was with the secret that is to be sent
 * @param isKnown that secret was right the last time
 * @param mayDouble it may be sent while one with the same secret is in progress. One secret never takes the last slot in
 *   this way: a new password, which no one has tried yet, still has its attempt
 * @param slots refused attempts that are allowed. 0: it is sent only if its secret is known to be right
 */
export function decide<Attempt extends CountedAttempt>(
  attempts: readonly Attempt[],
  { isOf, isKnown, mayDouble }: AttemptQuestion<Attempt>,
  slots: number,
): Admission {
  const failures = attempts.filter(({ state }) => state !== 'pending');
  if (failures.some((one) => one.state === 'refused' && isOf(one))) return 'invalid-credentials';
  const isDouble = attempts.some((one) => one.state === 'pending' && isOf(one));
  if (attempts.length < (isDouble ? slotsOfDouble(mayDouble, slots) : slots)) return 'admit';
  if (isKnown) return isDouble ? 'wait' : 'admit';
  return failures.length < slots ? 'wait' : 'throttled';
}

/** The slots that count for an attempt while one with the same secret is in progress. */
export const slotsOfDouble = (mayDouble: boolean, slots: number): number => (mayDouble ? slots - 1 : 0);

/**
 * Makes digests under a key, by default a random one of this process: names and secrets are compared and never stored,
 * and no one can try passwords against a dump of the memory elsewhere.
 *
 * @returns equal only for equal lists of parts: JSON keeps ['a', 'bc'] and ['ab', 'c'] apart
 */
export function createFingerprint(key: Uint8Array = randomBytes(32)): (...parts: string[]) => string {
  return (...parts) => createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url');
}

/**
 * Milliseconds. An attempt that is not settled for so long counts as refused: its plugin has forgotten it, or its replica has
 * died. A later `settle` still corrects that.
 */
export const abandonedAfter = 60_000;

/** Milliseconds that an attempt waits for others: longer than most binds take, and well below a `timeout` (3 s), an outage. */
export const maxWait = 1_000;

/** What is to be sent. All but the authenticator are digests. */
interface Identified {
  readonly authenticator: string;
  readonly subject: string;
  readonly secret: string;
  readonly user: string;
}

/** One attempt: it holds a slot of its subject while it is counted. */
interface Attempt extends Identified, CountedAttempt {
  state: CountedAttempt['state'];
  /** When it was refused or abandoned, and until then when it began. Monotonic milliseconds. */
  at: number;
}

/** The attempts of one subject in the window, and what wakes those that wait for a change of them. */
interface Page {
  attempts: readonly Attempt[];
  readonly waiting: Set<() => void>;
}

/**
 * Attempts of one subject that wait. As many as a person's tools need at one time where no cache makes one lookup of equal
 * tokens, and a small part of an authenticator's `maxConcurrent` (100), which all names share.
 */
const maxWaiting = 8;

/** The attempts of all subjects. */
function createLedger(now: () => number, window: () => number, maxSubjects: number) {
  // In the order of the last count, so that those whose window has passed are at the front.
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
        throw new AuthenticatorError('failed', `the lockout guard is full: ${maxSubjects} names have refused attempts`);
      }
      page.attempts = [...page.attempts, one];
      pages.set(one.subject, page);
    },
    /** Gives the slot back, or counts it from now on, until the window has passed. */
    settle(one: Attempt, as?: 'refused' | 'abandoned') {
      // Its page is gone when it was abandoned and its window has passed since. An outcome that is reported now still counts.
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
    clear(user: string) {
      for (const [subject, page] of pages) {
        const left = page.attempts.filter((one) => one.user !== user || one.state === 'pending');
        if (left.length < page.attempts.length) change(subject, page, left);
      }
    },
    /** Resolves when an attempt of the subject is given back or counted, or none is in progress; else as {@link oneOf}. */
    async nextChange({ subject }: Identified, signal: AbortSignal | undefined, limit: number): Promise<void> {
      const page = pages.get(subject);
      if (page) await oneOf(page.waiting, signal, limit);
    },
  };
}

/**
 * Resolves when it is woken as one of `waiting`, and at the limit. @param limit milliseconds
 *
 * @throws AuthenticatorError `failed` when `maxWaiting` wait already
 * @throws the reason of the signal when it is aborted
 */
async function oneOf(waiting: Set<() => void>, signal: AbortSignal | undefined, limit: number): Promise<void> {
  if (waiting.size >= maxWaiting) {
    throw new AuthenticatorError('failed', `too many concurrent logins for one user (${maxWaiting} waiting)`);
  }
  let wake = () => {};
  let timer: NodeJS.Timeout;
  const begin = (resolve: () => void) => {
    wake = resolve;
    waiting.add(wake);
    timer = setTimeout(resolve, limit);
  };
  const end = () => {
    waiting.delete(wake);
    clearTimeout(timer);
  };
  await bounded<void>({ signal }, begin, end);
}

/**
 * Attempts of one subject in progress at a time. What a directory does for one user may take long, and all users share its
 * connections. A secret that was right has one slot more, so that guesses never take the last one.
 */
const maxUnderWay = 3;

export interface LocalGuardOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Names with attempts at one time. */
  readonly maxSubjects: number;
  /** Secrets known to be right. */
  readonly maxKnownSecrets: number;
  /** Milliseconds. */
  readonly abandonedAfter: number;
}

/** When it was refused last, in monotonic milliseconds; undefined: not in the window. */
const lastRefused = (attempts: readonly Attempt[], secret: string): number | undefined =>
  attempts.findLast((one) => one.state === 'refused' && one.secret === secret)?.at;

/** What this process knows of attempts. */
export function createLocalGuard(settings: () => LockoutConfig, options: LocalGuardOptions) {
  const { now } = options;
  const window = () => settings().window;
  const fingerprint = createFingerprint();
  const ledger = createLedger(now, window, options.maxSubjects);
  const lockedOut = createLockedOut(now, window, options.maxSubjects);
  /** Secrets that were right the last time they were tried, and when that was. `max` would allocate all slots at once. */
  const known = new LRUCache<string, number>({ maxSize: options.maxKnownSecrets, sizeCalculation: () => 1 });
  const isKnown = ({ secret }: Identified) => known.get(secret) !== undefined;
  const userOf = (authenticator: string, username: string) => fingerprint('user', authenticator, username);

  return {
    lockedOut,
    identify: (authenticator: string, name: string, password: string, username: string): Identified => ({
      authenticator,
      subject: fingerprint(authenticator, name),
      secret: fingerprint(authenticator, name, password),
      user: userOf(authenticator, username),
    }),
    /** @param isRight the secret is known to be right. Default: whether it is to this process */
    decide(one: Identified, mayDouble: boolean, isRight = isKnown(one)): Admission {
      const isOf = ({ secret }: Attempt) => secret === one.secret;
      const attempts = ledger.attemptsOf(one.subject);
      const admission = decide(attempts, { isOf, isKnown: isRight, mayDouble }, settings().maxFailures);
      const pending = attempts.filter(({ state }) => state === 'pending');
      if (admission !== 'admit' || pending.length < maxUnderWay) return admission;
      return isRight && pending.length === maxUnderWay && !pending.some(isOf) ? 'admit' : 'wait';
    },
    refusedAt: ({ subject, secret }: Identified) => lastRefused(ledger.attemptsOf(subject), secret),
    /** Also marks it as used now. */
    isKnown,
    /** When it was last right, in monotonic milliseconds; undefined: it is not known to be right. */
    rightAt: ({ secret }: Identified) => known.peek(secret),
    /** It was refused elsewhere. */
    forget: ({ secret }: Identified) => void known.delete(secret),
    /**
     * Takes a slot. One that is not settled in time counts as refused, until it is.
     *
     * @param isRight the secret was right before: it is admitted also when there are too many subjects
     * @returns to be called once, with the outcome
     */
    reserve(identified: Identified, isRight: boolean): (outcome: AttemptOutcome) => void {
      const one: Attempt = { ...identified, state: 'pending', at: now() };
      ledger.add(one, isRight);
      const conclude = (outcome: AttemptOutcome | 'abandoned') => {
        if (outcome === 'accepted') known.set(one.secret, now());
        // An abandoned one is not known to be right either: else a plugin that abandons all of them is never throttled.
        if (outcome === 'refused' || outcome === 'abandoned') known.delete(one.secret);
        ledger.settle(one, outcome === 'accepted' || outcome === 'unavailable' ? undefined : outcome);
      };
      const timer = setTimeout(conclude, options.abandonedAfter, 'abandoned').unref();
      return (outcome) => {
        clearTimeout(timer);
        conclude(outcome);
      };
    },
    /** Forgets what is counted of a user. Attempts in progress go on. */
    clear(authenticator: string, username: string) {
      ledger.clear(userOf(authenticator, username));
      lockedOut.clear(userOf(authenticator, username));
    },
    nextChange: ledger.nextChange,
  };
}

/**
 * Who is locked out, as far as this process knows: it refused one of their attempts as throttled. A lock ends when the window
 * of the last refused attempt has passed. That one was before the last throttled attempt, so a subject that does not come back is
 * dropped a window after that, at the latest.
 */
function createLockedOut(now: () => number, window: () => number, maxLocked: number) {
  const locks = new Map<string, { readonly one: Identified; readonly at: number }>();
  return {
    throttled(one: Identified) {
      if (locks.size < maxLocked || locks.has(one.subject)) locks.set(one.subject, { one, at: now() });
    },
    /** A password that was not known to be right was sent: the lock has ended. */
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
