import { z } from 'zod';
import { createSealingKey, open, seal } from '../sealing/seal.ts';

/** Milliseconds since 1970. */
const time = z.int().nonnegative();
const text = z.string().min(1);

const schema = z.strictObject({
  /** The authenticator that checked the password. */
  authenticator: text,
  /** As that authenticator named the user: without the prefix of gateway.yaml. */
  username: text,
  uid: text.optional(),
  /** As Kubernetes saw the user at the login. The sessions of a user are found by it. */
  name: text,
  /** When the password was checked. */
  since: time,
  /** When it ends, however much it is used. */
  until: time,
  /** The cluster that it is for, and the audience of that. Left out: the API server's own, whichever asks. */
  cluster: text.optional(),
  audience: text.optional(),
  /** The machine, as the user calls it. */
  device: text.optional(),
  /** Where the login came from. */
  address: text,
});

/** The facts of the login that a session is based on. They are written when a user logs in, and never changed. */
export type Session = Readonly<z.infer<typeof schema>>;

/** The first characters of a text, which say how the rest is to be read. */
const sealed = 's1.';
const plain = 'p1.';

export type SessionTexts = ReturnType<typeof createSessionTexts>;

/**
 * Writes the facts of a login into the record of its session, and reads them again.
 *
 * With a key, who can write the Redis of sessions can neither make one nor move one to a token of their own. Without one,
 * they can: then that Redis decides who gets in, as it does for all tokens in it.
 *
 * @param secrets `cache.redis.sealingKeys`: the first seals, all open. Empty: nothing is sealed
 */
export function createSessionTexts(secrets: readonly Uint8Array[]) {
  const keys = secrets.map((secret) => createSealingKey(secret).derive('sessions'));
  const [first] = keys;
  return {
    /** @param digest of its token: the text holds for no other one */
    write(digest: string, session: Session): string {
      const json = Buffer.from(JSON.stringify(session));
      if (first === undefined) return plain + json.toString('base64url');
      return sealed + seal(first, digest, json).toString('base64url');
    },
    /** @returns undefined for whatever was not written by a gateway with one of these keys for this token */
    read(digest: string, written: string): Session | undefined {
      // Once there is a key, a text that is not sealed was not written by a gateway.
      const start = first === undefined ? plain : sealed;
      if (!written.startsWith(start)) return undefined;
      const bytes = Buffer.from(written.slice(start.length), 'base64url');
      if (first === undefined) return parse(bytes);
      const opened = keys.map((key) => open(key, digest, bytes)).find((one) => one !== undefined);
      return opened && parse(opened);
    },
  };
}

function parse(json: Buffer): Session | undefined {
  try {
    return schema.safeParse(JSON.parse(json.toString())).data;
  } catch {
    return undefined;
  }
}
