/** Who is locked out, as this process knows it: it refused a try of theirs as throttled. Subjects and users are digests. */
export interface LockedOut {
  throttled(authenticator: string, subject: string, user: string): void;
  /** A password that was not known to be right went out: the lock has ended. */
  admitted(authenticator: string, subject: string): void;
  clear(authenticator: string, user: string): void;
  count(authenticator: string): number;
}

interface Lock {
  readonly user: string;
  /** Monotonic milliseconds. */
  readonly at: number;
}

/** It remembers as many locked out subjects with each authenticator as the guard counts subjects. */
const most = 100_000;

/**
 * A lock ends when the window of the last refused try has passed. That one was before the last throttled try, so a
 * subject that comes back no more is dropped a window after that, at the latest.
 */
export function createLockedOut(now: () => number, window: () => number): LockedOut {
  const all = new Map<string, Map<string, Lock>>();
  return {
    throttled(authenticator, subject, user) {
      const locks = all.get(authenticator) ?? new Map<string, Lock>();
      all.set(authenticator, locks);
      // The map keeps the oldest first.
      locks.delete(subject);
      if (locks.size < most) locks.set(subject, { user, at: now() });
    },
    admitted(authenticator, subject) {
      all.get(authenticator)?.delete(subject);
    },
    clear(authenticator, user) {
      const locks = all.get(authenticator);
      for (const [subject, lock] of locks ?? []) if (lock.user === user) locks?.delete(subject);
    },
    count(authenticator) {
      const locks = all.get(authenticator);
      for (const [subject, { at }] of locks ?? []) {
        if (at > now() - window()) break;
        locks?.delete(subject);
      }
      return locks?.size ?? 0;
    },
  };
}
