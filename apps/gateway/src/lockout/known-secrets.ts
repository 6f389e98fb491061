/** Digests of secrets that were right the last time they were tried. */
export interface KnownSecrets {
  /** Also marks it as used now. */
  has(secret: string): boolean;
  /** When it was last right; undefined: it is not known. */
  rightAt(secret: string): number | undefined;
  /** @param at when it was right, if anyone asks */
  add(secret: string, at?: number): void;
  remove(secret: string): void;
}

/** Keeps the `max` used last. */
export function createKnownSecrets(max: number): KnownSecrets {
  // A Map keeps the order of insertion: the first is the one not used for longest.
  const secrets = new Map<string, number>();
  const use = (secret: string, at: number) => {
    secrets.delete(secret);
    secrets.set(secret, at);
  };
  return {
    has(secret) {
      const at = secrets.get(secret);
      if (at === undefined) return false;
      use(secret, at);
      return true;
    },
    rightAt: (secret) => secrets.get(secret),
    add(secret, at = 0) {
      use(secret, at);
      const [oldest] = secrets.keys();
      if (secrets.size > max && oldest !== undefined) secrets.delete(oldest);
    },
    remove(secret) {
      secrets.delete(secret);
    },
  };
}
