/** Those whose own logins a server left without an answer, so that one of them is not taken for a fault of the server. */
export interface Suspects {
  /** True when the server answered others after it had failed this one: what it does again is a matter of this one. */
  isOnItsOwn(subject: string): boolean;
  add(subject: string): void;
  /** The server answered `subject`, or somebody whose name does not matter. */
  answered(subject: string | undefined): void;
  /** The server was to blame for those whom nobody's answer has put on their own yet. */
  clear(): void;
}

const longest = 600_000;
const most = 1_000;

interface Suspect {
  readonly at: number;
  onItsOwn: boolean;
}

/** @param now monotonic milliseconds */
export function createSuspects(now: () => number): Suspects {
  // The oldest first.
  const suspects = new Map<string, Suspect>();

  return {
    isOnItsOwn(subject) {
      const suspect = suspects.get(subject);
      return suspect?.onItsOwn === true && now() - suspect.at < longest;
    },
    add(subject) {
      suspects.delete(subject);
      suspects.set(subject, { at: now(), onItsOwn: false });
      const [oldest] = suspects.keys();
      if (suspects.size > most && oldest !== undefined) suspects.delete(oldest);
    },
    answered(subject) {
      if (subject !== undefined) suspects.delete(subject);
      for (const suspect of suspects.values()) suspect.onItsOwn = true;
    },
    clear() {
      for (const [subject, { onItsOwn }] of suspects) if (!onItsOwn) suspects.delete(subject);
    },
  };
}
