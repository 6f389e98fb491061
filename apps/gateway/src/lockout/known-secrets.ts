/** Digests of secrets that were right the last time they were tried. */
export interface KnownSecrets {
  /** When it was last right; undefined: it is not known. Also marks it as used now. */
  rightAt(secret: string): number | undefined;
  /** @param at when it was right */
  add(secret: string, at: number): void;
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
    rightAt(secret) {
      const at = secrets.get(secret);
      if (at !== undefined) use(secret, at);
      return at;
    },
    add(secret, at) {
      use(secret, at);
      const [oldest] = secrets.keys();
      if (secrets.size > max && oldest !== undefined) secrets.delete(oldest);
    },
    remove(secret) {
      secrets.delete(secret);
    },
  };
}
