import { AuthenticatorError } from '@sallyport/authenticator';

/** One try: it holds a place of its subject while it is here. */
export interface Try {
  /** Digests, see `fingerprint.ts`. */
  readonly subject: string;
  readonly secret: string;
  /** A digest of the username. */
  readonly user: string;
  /** `abandoned`: nobody told what came of it, so it counts, and its secret is not known to be wrong. */
  state: 'pending' | 'refused' | 'abandoned';
  /** When it was refused or given up, and until then when it began. Monotonic milliseconds. */
  at: number;
}

/** The tries of all subjects in the window. */
export interface Ledger {
  /** Those under way, and those counted in the window. */
  triesOf(subject: string): readonly Try[];
  /**
   * @param known the secret was right before: its subject is taken in even when there are too many
   * @throws AuthenticatorError `failed` for a new subject when there are `maxSubjects`
   */
  add(subject: string, secret: string, known: boolean, user: string): Try;
  giveBack(one: Try): void;
  /** From now on it counts until the window has passed. */
  count(one: Try, as: 'refused' | 'abandoned'): void;
  /** Forgets what is counted of a user. Those under way go on. */
  clear(user: string): void;
  /**
   * Resolves when a try of the subject is given back or counted. Only to be asked while one is under way.
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
 * Tries of one subject that wait. As many as a person's tools ask at one time where no cache makes one of equal tokens,
 * and a small part of an authenticator's `maxConcurrent` (100), which all names share.
 */
const maxWaiting = 8;

/**
 * @param now monotonic milliseconds
 * @param window how long a refused try counts, in milliseconds
 */
export function createLedger(now: () => number, window: () => number, maxSubjects: number): Ledger {
  // In the order of the last count, so that those whose window has passed are found at the front.
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
      // Its page is gone when it was abandoned and its window has passed since: what is told now counts all the same.
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
async function oneOf(waiting: Set<() => void>, signal: AbortSignal | undefined, longest: number): Promise<void> {
  signal?.throwIfAborted();
  if (waiting.size >= maxWaiting) {
    throw new AuthenticatorError('failed', `too many concurrent logins for one user (${maxWaiting} waiting)`);
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const giveUp = () => reject(signal?.reason);
  const late = () => reject(new AuthenticatorError('failed', 'earlier logins of the same user take too long'));
  waiting.add(resolve);
  signal?.addEventListener('abort', giveUp, { once: true });
  // A busy process may come here after its time: Node warns of a negative one.
  const timer = setTimeout(late, Math.max(0, longest));
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
    waiting.delete(resolve);
  }
}
