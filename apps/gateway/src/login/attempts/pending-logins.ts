import { readValue, stringUpTo } from '@sallyport/redis-connection';
import { z } from 'zod';
import { openText, sealText } from '../../engine/sealing/seal.ts';
import { sessionProvider } from '../../engine/sessions/session-text.ts';
import { readReply } from '../../engine/shared-redis/read-reply.ts';
import type { SharedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { factorGrant } from '../factors/enrolment.ts';
import { isEqual, secretDigest } from '../secret-text.ts';
import { isId, type LoginAttempt } from './attempt.ts';
import { createCode, readCode } from './login-code.ts';

const text = z.string().min(1);
const userRecord = z.strictObject({
  username: text,
  uid: z.string().exactOptional(),
  groups: z.array(z.string()).readonly().exactOptional(),
  extra: z.record(z.string(), z.array(z.string()).readonly()).readonly().exactOptional(),
});

const pending = z.strictObject({
  /** The digest of the login secret of the browser in which they logged in. No other browser can go on. */
  browser: text,
  attempt: z.strictObject({
    /** '' if no client has begun it. */
    challenge: z.string(),
    cluster: text.optional(),
    device: text.optional(),
  }),
  /** The revision of the revocation list before they logged in: a user who is revoked after that gets no session. */
  revision: z.int(),
  /** Who logged in. */
  proof: z.strictObject({
    authenticator: text,
    /** As the backend names them. */
    backendUser: userRecord.pick({ username: true, uid: true }),
    /** As Kubernetes sees them. */
    user: userRecord,
    since: z.int(),
    login: text,
    /** See `Proof`. */
    tokenDigest: text.optional(),
    provider: sessionProvider.optional(),
    amr: z.array(text).readonly().exactOptional(),
  }),
  /** What they may do next, if it is not to confirm: prove a second factor, or change their factors. */
  next: z
    .union([
      z.strictObject({ kind: z.literal('factor') }),
      z.strictObject({
        kind: z.literal('manage'),
        grant: factorGrant,
      }),
    ])
    .exactOptional(),
  /** The challenge of the page that was shown last, for a passkey. It is valid once. */
  challenge: text.exactOptional(),
  /** Set once they have confirmed: the digest of the code, and its end in milliseconds since 1970. */
  code: z.strictObject({ digest: text, until: z.int() }).optional(),
});

/** A login of which the person is known. They have not confirmed it yet, or their client has not fetched the session. */
export type PendingLogin = Readonly<z.infer<typeof pending>>;

export type PendingLogins = ReturnType<typeof createPendingLogins>;

/** How long a code is valid, in milliseconds. */
const codeLifetime = 60_000;
/** How often a change begins again because another one came between, such as of another tab. */
const maxConflicts = 5;
/** The maximum size of a record. A user in a thousand groups with long names takes less. */
const maxBytes = 512 * 1024;

const sealedFor = 'pending logins';

/** An attempt that has ended has this value until it expires: its code was taken, or it was cancelled. */
const usedMark = 'used';

/** Writes a record, unless the attempt has ended. KEYS: the attempt. ARGV: the record, and its time to live in milliseconds. */
export const putScript = `
if redis.call('GETRANGE', KEYS[1], 0, 3) == '${usedMark}' then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

/** Changes a record, if it is still the same. KEYS: the attempt. ARGV: the record, and the new one. */
export const changeScript = `
if redis.call('GETRANGE', KEYS[1], 0, -1) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', math.max(1, redis.call('PTTL', KEYS[1])))
return 1`;

/** Ends an attempt, whatever its record is now. KEYS: the attempt. */
const cancelScript = `
local start = redis.call('GETRANGE', KEYS[1], 0, 3)
if start == '' or start == '${usedMark}' then return 0 end
redis.call('SET', KEYS[1], '${usedMark}', 'PX', math.max(1, redis.call('PTTL', KEYS[1])))
return 1`;

/** Ends an attempt, if its record is still the same. KEYS: the attempt. ARGV: the record. */
export const takeScript = `
if redis.call('GETRANGE', KEYS[1], 0, -1) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '${usedMark}', 'PX', math.max(1, redis.call('PTTL', KEYS[1])))
return 1`;

const isDone = z.union([z.literal(0), z.literal(1)]).transform((reply) => reply === 1);

/** Returns the digest by which a code is known. What is not a code has the digest of none. */
const digestCode = (code: string): string => secretDigest(readCode(code) ?? '');

/**
 * Keeps logins in progress in the Redis that all replicas share, sealed, from when the person is known until the client has
 * its session. Who can write there can neither make a login nor change one.
 *
 * @param redis a call has the deadline of a command: a person waits for it, not a review
 * @param now the wall clock in milliseconds
 */
export function createPendingLogins(redis: SharedRedis, now: () => number) {
  const makeKey = (id: string) => `${redis.keyPrefix}cache-login:${id}`;
  const run = (script: string, id: string, ...args: (string | number)[]): Promise<boolean> =>
    redis.askWithin('login', undefined, async (client) =>
      readReply(isDone, await client.eval(script, 1, makeKey(id), ...args)),
    );
  async function find(id: string) {
    const { reply } = await redis.askWithin('login', undefined, (client) =>
      readValue(client, stringUpTo(maxBytes), makeKey(id)),
    );
    if (typeof reply !== 'string') return undefined;
    const plain = openText(redis.sealingKeys, sealedFor, id, reply);
    const { data } = pending.safeParse(plain === undefined ? undefined : JSON.parse(plain));
    return data && { sealed: reply, login: data };
  }
  /** @returns false if the attempt has ended */
  function put({ id, until }: Pick<LoginAttempt, 'id' | 'until'>, login: PendingLogin) {
    const [key] = redis.sealingKeys;
    const remaining = until - now();
    if (key === undefined || remaining < 1) return Promise.resolve(false);
    return run(putScript, id, sealText(key, sealedFor, id, JSON.stringify(login)), remaining);
  }
  /** Finds the login of this browser. */
  async function findForBrowser(id: string, secret: string) {
    const pending = await find(id);
    return pending && isEqual(pending.login.browser, secretDigest(secret)) ? pending : undefined;
  }
  return {
    put,
    /** Whether the code of the attempt was taken, or it was cancelled. */
    async hasEnded(id: string): Promise<boolean> {
      const { reply } = await redis.askWithin('login', undefined, (client) =>
        readValue(client, stringUpTo(usedMark.length), makeKey(id)),
      );
      return reply === usedMark;
    },
    /** @returns undefined if there is none, it has ended, or another browser has logged in */
    read: async (id: string, secret: string): Promise<PendingLogin | undefined> =>
      (await findForBrowser(id, secret))?.login,
    /**
     * Changes the login of this browser. If another change comes between, it decides again: so what a change takes is taken once,
     * on whichever replicas.
     *
     * @returns what it was before; undefined as `read`, if `change` returns undefined, and if other changes kept coming between
     */
    async change(
      id: string,
      secret: string,
      change: (login: PendingLogin) => PendingLogin | undefined,
    ): Promise<PendingLogin | undefined> {
      const [key] = redis.sealingKeys;
      for (let conflicts = 0; conflicts < maxConflicts; conflicts += 1) {
        const pending = await findForBrowser(id, secret);
        const next = pending && change(pending.login);
        if (key === undefined || pending === undefined || next === undefined) return undefined;
        const sealed = sealText(key, sealedFor, id, JSON.stringify(next));
        if (await run(changeScript, id, pending.sealed, sealed)) return pending.login;
      }
      return undefined;
    },
    /**
     * Makes the code for the client. A further one replaces it.
     *
     * @returns undefined as `read` does, and if they must do something else first, or no client has begun the attempt
     */
    async issueCode(
      attempt: Pick<LoginAttempt, 'id' | 'until' | 'manages'>,
      secret: string,
    ): Promise<string | undefined> {
      if (attempt.manages !== undefined) return undefined;
      const login = (await findForBrowser(attempt.id, secret))?.login;
      if (login === undefined || login.next !== undefined) return undefined;
      const code = createCode();
      const until = Math.min(attempt.until, now() + codeLifetime);
      const digest = digestCode(code);
      const isPut = await put(attempt, { ...login, code: { digest, until } });
      return isPut ? code : undefined;
    },
    /**
     * Ends an attempt of this browser. If it returns true, no code of the attempt makes a session, not even a code that another
     * replica has issued since.
     *
     * @returns false as `read` returns undefined
     */
    cancel: async (id: string, secret: string): Promise<boolean> =>
      (await findForBrowser(id, secret)) !== undefined && (await run(cancelScript, id)),
    /**
     * Takes a login by its code, which ends the attempt. A code that is wrong or has expired does not end it: the person can
     * get another one.
     *
     * @param code as it was typed
     * @returns undefined if the code is unknown or of another login, was taken before, or has expired
     */
    async take(id: string, code: string): Promise<PendingLogin | undefined> {
      const pending = isId(id) ? await find(id) : undefined;
      if (pending === undefined) return undefined;
      const { login, sealed } = pending;
      const { digest = '', until = 0 } = login.code ?? {};
      if (!isEqual(digest, digestCode(code)) || until <= now() || login.next) return undefined;
      return (await run(takeScript, id, sealed)) ? login : undefined;
    },
  };
}
