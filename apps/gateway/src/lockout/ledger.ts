import { createHmac, randomBytes } from 'node:crypto';
import { AuthenticatorError } from '@sallyport/authenticator';
import { bounded } from '../deadlines.ts';

/** `wait`: whether it may be sent depends on the outcome of the tries in progress. */
export type Verdict = 'admit' | 'wait' | 'invalid-credentials' | 'throttled';

/** A try that counts: it is in progress, or its window has not passed. */
export interface CountedTry {
  /** `abandoned`: its outcome was never reported, so it counts, and its secret is not known to be wrong. */
  readonly state: 'pending' | 'refused' | 'abandoned';
}

/** What is known of the secret that is to be sent. */
interface Asked<Try> {
  /** Whether a try was with this secret. */
  isOf(one: Try): boolean;
  /** It was right the last time. */
  readonly isKnown: boolean;
}

/**
 * The one rule of the lockout guard, for what this process knows and for what all replicas know.
 *
 * @param slots refused tries that are allowed. 0: it is sent only if its secret is known to be right
 */
export function judge<Try extends CountedTry>(
  tries: readonly Try[],
  { isOf, isKnown }: Asked<Try>,
  slots: number,
): Verdict {
  const failures = tries.filter(({ state }) => state !== 'pending');
  if (failures.some((one) => one.state === 'refused' && isOf(one))) return 'invalid-credentials';
  if (tries.length < slots) return 'admit';
  if (isKnown) return tries.some((one) => one.state === 'pending' && isOf(one)) ? 'wait' : 'admit';
  return failures.length < slots ? 'wait' : 'throttled';
}

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
 * Milliseconds. A try that is not settled for so long counts as refused: its plugin has forgotten it, or its replica has died, and it is
 * not known what the directory counted. A later `settle` still corrects that.
 */
export const abandonedAfter = 60_000;

/** One try: it holds a slot of its subject while it is in the ledger. */
export interface Try extends CountedTry {
  /** Digests, as is the secret, and the username. */
  readonly subject: string;
  readonly secret: string;
  readonly user: string;
  state: CountedTry['state'];
  /** When it was refused or abandoned, and until then when it began. Monotonic milliseconds. */
  at: number;
}

/** The tries of all subjects in the window. */
export interface Ledger {
  /** Those in progress, and those counted in the window. */
  triesOf(subject: string): readonly Try[];
  /**
   * @param known the secret was right before: its subject is added even when there are too many
   * @throws AuthenticatorError `failed` for a new subject when there are `maxSubjects`
   */
  add(subject: string, secret: string, known: boolean, user: string): Try;
  giveBack(one: Try): void;
  /** From now on it counts until the window has passed. */
  count(one: Try, as: 'refused' | 'abandoned'): void;
  /** Forgets what is counted of a user. Those in progress go on. */
  clear(user: string): void;
  /**
   * Resolves when a try of the subject is given back or counted. To be called only while one is in progress.
   *
   * @param longest milliseconds
   * @throws AuthenticatorError `failed` when `maxWaiting` wait already, or nothing has changed for `longest`
   * @throws the reason of the signal when it is aborted
   */
  nextChange(subject: string, signal: AbortSignal | undefined, longest: number): Promise<void>;
}

interface Page {
  tries: Try[];
  readonly waiting: Set<() => void>;
}

/**
 * Tries of one subject that wait. As many as a person's tools need at one time where no cache makes one lookup of equal
 * tokens, and a small part of an authenticator's `maxConcurrent` (100), which all names share.
 */
const maxWaiting = 8;

/**
 * @param now monotonic milliseconds
 * @param window how long a refused try counts, in milliseconds
 */
export function createLedger(now: () => number, window: () => number, maxSubjects: number): Ledger {
  // In the order of the last count, so that those whose window has passed are at the front.
  const pages = new Map<string, Page>();

  const prune = (subject: string, page: Page) => {
    const since = now() - window();
    page.tries = page.tries.filter((one) => one.state === 'pending' || one.at > since);
    if (page.tries.length === 0 && page.waiting.size === 0) pages.delete(subject);
  };
  const dropOld = () => {
    for (const [subject, page] of pages) {
      prune(subject, page);
      if (pages.has(subject)) return;
    }
  };
  const changed = (subject: string, page: Page) => {
    for (const wake of page.waiting) wake();
    prune(subject, page);
  };
  const makePage = (subject: string, known: boolean): Page => {
    if (pages.size >= maxSubjects && !known) {
      throw new AuthenticatorError('failed', `the lockout guard is full: ${maxSubjects} names have refused tries`);
    }
    const page: Page = { tries: [], waiting: new Set() };
    pages.set(subject, page);
    return page;
  };

  return {
    triesOf(subject) {
      dropOld();
      const page = pages.get(subject);
      if (page) prune(subject, page);
      return page?.tries ?? [];
    },
    add(subject, secret, known, user) {
      const one: Try = { subject, secret, user, state: 'pending', at: now() };
      (pages.get(subject) ?? makePage(subject, known)).tries.push(one);
      return one;
    },
    giveBack(one) {
      const page = pages.get(one.subject);
      if (!page) return;
      page.tries = page.tries.filter((other) => other !== one);
      changed(one.subject, page);
    },
    count(one, as) {
      // Its page is gone when it was abandoned and its window has passed since. An outcome that is reported now still counts.
      const page = pages.get(one.subject) ?? { tries: [], waiting: new Set() };
      one.state = as;
      one.at = now();
      if (!page.tries.includes(one)) page.tries.push(one);
      pages.delete(one.subject);
      pages.set(one.subject, page);
      changed(one.subject, page);
    },
    clear(user) {
      for (const [subject, page] of pages) if (forgetCounted(page, user)) changed(subject, page);
    },
    async nextChange(subject, signal, longest) {
      const page = pages.get(subject);
      if (page) await oneOf(page.waiting, signal, longest);
    },
  };
}

/** @returns whether there were any */
function forgetCounted(page: Page, user: string): boolean {
  const before = page.tries.length;
  page.tries = page.tries.filter((one) => one.user !== user || one.state === 'pending');
  return page.tries.length < before;
}

/** Resolves when it is woken as one of `waiting`, which it leaves in any case. */
async function oneOf(waiting: Set<() => void>, signal: AbortSignal | undefined, limit: number): Promise<void> {
  signal?.throwIfAborted();
  if (waiting.size >= maxWaiting) {
    throw new AuthenticatorError('failed', `too many concurrent logins for one user (${maxWaiting} waiting)`);
  }
  const late = () => new AuthenticatorError('failed', 'earlier logins of the same user take too long');
  let wake = () => {};
  const begin = (resolve: () => void) => {
    wake = resolve;
    waiting.add(wake);
  };
  await bounded<void>({ signal, limit, late }, begin, () => waiting.delete(wake));
}
