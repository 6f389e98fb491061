/** Digests of secrets that were right the last time they were tried. */
export interface KnownSecrets {
  /** Also marks it as used now. */
  has(secret: string): boolean;
  add(secret: string): void;
  remove(secret: string): void;
}

/** Keeps the `max` used last. */
export function createKnownSecrets(max: number): KnownSecrets {
  // A Set keeps the order of insertion: the first is the one not used for longest.
  const secrets = new Set<string>();
  const use = (secret: string) => {
    secrets.delete(secret);
    secrets.add(secret);
  };
  return {
    has(secret) {
      if (!secrets.has(secret)) return false;
      use(secret);
      return true;
    },
    add(secret) {
      use(secret);
      const [oldest] = secrets;
      if (secrets.size > max && oldest !== undefined) secrets.delete(oldest);
    },
    remove(secret) {
      secrets.delete(secret);
    },
  };
}
