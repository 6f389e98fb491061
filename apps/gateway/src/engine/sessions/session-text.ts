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

/** The tag of a text that no key seals. */
const plain = 'plain';

/**
 * A text is a head and a body, `s2.TAG.TIME.BODY`: the tag of the key that seals the body, and when it was written, in milliseconds
 * since 1970. The seal binds the head.
 */
const shape = /^(s2\.(plain|[0-9a-f]{16})\.(\d{1,15})\.)([\w-]+)$/;

/** Replicas get a new key one after the other. After this time, in milliseconds, each one has the keys of the others. */
const rolloutTime = 10 * 60_000;

export type SessionTexts = ReturnType<typeof createSessionTexts>;

/**
 * Writes the facts of a login into the record of its session, and reads them again.
 *
 * With a key, someone who can write to the session Redis can neither make a session nor move one to a token of their own. Without
 * a key they can: then that Redis decides who gets in, as it does for all tokens in it.
 *
 * @param secrets `cache.redis.sealingKeys`: the first key seals, all open. Empty: nothing is sealed
 * @param now the wall clock, in milliseconds since 1970
 */
export function createSessionTexts(secrets: readonly Uint8Array[], now: () => number = Date.now) {
  const loadedAt = now();
  const sealed = secrets.map(createTaggedKey);
  // If there is a key, a text that is not sealed was not written by a gateway.
  const keys = new Map<string, Uint8Array | undefined>(
    sealed.length > 0 ? sealed : [[plain, undefined]],
  );
  const [[writingTag, writingKey] = [plain, undefined]] = keys;
  return {
    /** @param digest the digest of its token: the text is valid for no other token */
    write(digest: string, session: Session): string {
      const json = Buffer.from(JSON.stringify(session));
      const head = `s2.${writingTag}.${now()}.`;
      const body = writingKey === undefined ? json : seal(writingKey, head + digest, json);
      return head + body.toString('base64url');
    },
    /** @returns undefined if the text was not written by a gateway with one of these keys for this token */
    read(digest: string, sessionText: string): Session | undefined {
      const segments = splitText(sessionText);
      if (segments === undefined || !keys.has(segments.tag)) return undefined;
      const key = keys.get(segments.tag);
      const json =
        key === undefined ? segments.body : open(key, segments.head + digest, segments.body);
      return json && parse(json);
    },
    /**
     * Says whether a text can't be read because its key was removed from this config. A key that this config never had can be one
     * that other replicas got first: until `rolloutTime` has passed, a text that is newer than this config can be of such a key.
     *
     * No one can verify the head of such a text. Who can write one can delete the record as well, and the user is refused by either.
     */
    isKeyRemoved(sessionText: string): boolean {
      const segments = splitText(sessionText);
      if (segments === undefined || keys.has(segments.tag)) return false;
      // It is wrong for a replica that loads its config after others have a new key, and before it has the key itself, or for a writer
      // whose clock is some seconds behind: a user logs in once more.
      return segments.writtenAt < Math.max(loadedAt, now() - rolloutTime);
    },
  };
}

function createTaggedKey(secret: Uint8Array): [tag: string, key: Uint8Array] {
  const key = createSealingKey(secret);
  return [key.tag, key.derive('sessions')];
}

function splitText(sessionText: string) {
  const [, head, tag, time, body] = shape.exec(sessionText) ?? [];
  if (head === undefined || tag === undefined || body === undefined) return undefined;
  return { head, tag, writtenAt: Number(time), body: Buffer.from(body, 'base64url') };
}

function parse(json: Buffer): Session | undefined {
  try {
    return schema.safeParse(JSON.parse(json.toString())).data;
  } catch {
    return undefined;
  }
}
