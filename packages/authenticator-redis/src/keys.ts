/** How the keys of one authenticator's tokens are made, and what they say. */
export interface Keys {
  /** Of the record. */
  record(digest: string): string;
  /** Of the moment of the last use, where that is tracked. */
  lastUse(digest: string): string;
  /** The digest that a record's key has in it; undefined for every other key. */
  digestOf(key: string): string | undefined;
  /** For MATCH of SCAN: all keys of tokens whose digest begins so, and some more. */
  pattern(digestStart: string): string;
}

/** A record's key is the prefix and the SHA-256 of the token, nothing else: so other systems can write it. */
export function keysOf(prefix: string): Keys {
  const record = (digest: string) => prefix + digest;
  return {
    record,
    lastUse: (digest) => `${record(digest)}:last-use`,
    digestOf(key) {
      const digest = key.slice(prefix.length);
      return key.startsWith(prefix) && /^[0-9a-f]{64}$/.test(digest) ? digest : undefined;
    },
    // https://redis.io/docs/latest/commands/keys/: `*`, `?`, `[` and `\` mean something there.
    pattern: (digestStart) => `${prefix.replace(/[*?[\]\\^-]/g, '\\$&')}${digestStart}*`,
  };
}
