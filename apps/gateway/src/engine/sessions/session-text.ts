import { z } from 'zod';
import { createSealingKey, open, seal } from '../sealing/seal.ts';

/** A time in milliseconds since 1970. */
const time = z.int().nonnegative();
const text = z.string().min(1);

/** The facts about a user who logged in at a provider of `login.providers`. */
export const sessionProvider = z.strictObject({
  name: text,
  /** The provider that had this name then. A session of another one is not accepted. */
  issuer: text,
  clientId: text,
  /** What the authenticator read in the ID token, for reviews in which no one can be asked about it. */
  groups: z.array(z.string()).readonly().exactOptional(),
  extra: z.record(z.string(), z.array(z.string()).readonly()).readonly().exactOptional(),
  /** Ids of the ID token, by which it can be blocked. */
  credential: z
    .strictObject({ jti: text.exactOptional(), sid: text.exactOptional() })
    .exactOptional(),
  /** How and when the provider checked who it is (OpenID Connect Core 1.0, section 2). */
  acr: text.exactOptional(),
  amr: z.array(text).readonly().exactOptional(),
  authTime: time.exactOptional(),
});

const schema = z.strictObject({
  /** The authenticator that checked the password or the ID token. */
  authenticator: text,
  /** The username that this authenticator gave, without the prefix of gateway.yaml. */
  username: text,
  uid: text.optional(),
  /** The username that Kubernetes saw at the login. The sessions of a user are found by it. */
  name: text,
  /** When the password or the ID token was checked. */
  since: time,
  /** When the session ends, however much it is used. */
  until: time,
  /** The cluster that it is for, and the audience of that cluster. Undefined: it is for every API server that asks. */
  cluster: text.optional(),
  audience: text.optional(),
  /** The machine's name that the user gave. */
  device: text.optional(),
  /** The address from which the login came. */
  address: text,
  /** How they proved who they are: with the password and a second factor (RFC 8176). Undefined: with the password alone, or at a provider. */
  amr: z.array(text).readonly().exactOptional(),
  /** Undefined: they logged in with a password. */
  provider: sessionProvider.optional(),
});

/** The facts of the login that a session is based on. They are written when a user logs in, and never changed. */
export type Session = Readonly<z.infer<typeof schema>>;

/** A text begins with one of these, which say how to read the rest. */
const sealed = 's1.';
const plain = 'p1.';

export type SessionTexts = ReturnType<typeof createSessionTexts>;

/**
 * Writes the facts of a login into the record of its session, and reads them again.
 *
 * With a key, someone who can write to the session Redis can neither make a session nor move one to a token of their own. Without
 * a key they can: then that Redis decides who gets in, as it does for all tokens in it.
 *
 * @param secrets `cache.redis.sealingKeys`: the first key seals, all open. Empty: nothing is sealed
 */
export function createSessionTexts(secrets: readonly Uint8Array[]) {
  const keys = secrets.map((secret) => createSealingKey(secret).derive('sessions'));
  const [sealingKey] = keys;
  return {
    /** @param digest the digest of its token: the text is valid for no other token */
    write(digest: string, session: Session): string {
      const json = Buffer.from(JSON.stringify(session));
      if (sealingKey === undefined) return plain + json.toString('base64url');
      return sealed + seal(sealingKey, digest, json).toString('base64url');
    },
    /** @returns undefined if the text was not written by a gateway with one of these keys for this token */
    read(digest: string, sessionText: string): Session | undefined {
      // If there is a key, a text that is not sealed was not written by a gateway.
      const start = sealingKey === undefined ? plain : sealed;
      if (!sessionText.startsWith(start)) return undefined;
      const bytes = Buffer.from(sessionText.slice(start.length), 'base64url');
      if (sealingKey === undefined) return parse(bytes);
      const opened = keys.map((key) => open(key, digest, bytes)).find((json) => json !== undefined);
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
