import { createHmacSha256 } from '../sealing/hmac.ts';
import type { SealingKey } from '../sealing/seal.ts';
import { readReply } from '../shared-redis/read-reply.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { digestToken } from './list.ts';
import { endedReply } from './replies.ts';
import { allowAboveLimit, endedScript, maxEndedShared, revocationKeys } from './scripts.ts';

// Redis has a member `digest.mac` for each session. Only a gateway can make the mac, so another client of that Redis can't end a
// session. The digest is the SHA-256 of a random token, so it shows nothing of the token.

/** The maximum number of sessions that one process remembers. Redis has the newest 1,000 of all. */
const maxRemembered = 10_000;

/**
 * How long Redis has them after the last one was added, in milliseconds: as long as any answer is cached and used, see
 * `config/cache/lifetimes.ts`.
 */
const sharedFor = 48 * 3_600_000;

/** Sessions that were logged out, or ended because their user has too many. A cached answer about one is not used. */
export type EndedSessions = ReturnType<typeof createEndedSessions>;

/**
 * Remembers ended sessions, beyond a reload of the config. A session never comes back, so only their number is limited.
 *
 * @param callLimit the deadline of a call, in milliseconds. A slow Redis must not delay the next poll of the revocation list
 */
export function createEndedSessions(callLimit = 1_000) {
  /** The digests of ended sessions, in the order in which this process learned of them. */
  const digests = new Set<string>();
  /** The digests of sessions that ended here, and are not in Redis yet. */
  let unshared: readonly string[] = [];
  /** The newest member of each Redis that was read. */
  const newest = new WeakMap<ProbedRedis, string>();

  function remember(digest: string): void {
    digests.add(digest);
    const [oldest] = digests;
    if (digests.size > maxRemembered && oldest !== undefined) digests.delete(oldest);
  }

  /** Runs a script, and remembers the sessions that it returns. @returns whether Redis has what was sent: see `endedScript` */
  async function sendAndLearn(
    redis: ProbedRedis,
    script: string,
    newMembers: readonly string[],
  ): Promise<string> {
    const { endedNewest, ended } = revocationKeys(redis.keyPrefix);
    const args = [newest.get(redis) ?? '', String(sharedFor), ...newMembers];
    const reply = await redis.askWithin('revocations', callLimit, (client) =>
      client.eval(script, 2, endedNewest, ended, ...args),
    );
    const [last, members, state] = readReply(endedReply, reply);
    for (const member of members) {
      const digest = readDigest(member, redis.sealingKeys);
      if (digest !== undefined) remember(digest);
    }
    newest.set(redis, last);
    return state;
  }

  return {
    has: (token: string): boolean => digests.size > 0 && digests.has(digestToken(token)),
    /** Says what `has` does, for a caller that has not got the token. @param digest see `digestToken` */
    hasDigest: (digest: string): boolean => digests.has(digest),
    /** Adds a session that this process has ended. It refuses the session from now on, and the next poll publishes that. */
    add(digest: string): void {
      if (digests.has(digest)) return;
      remember(digest);
      unshared = [...unshared, digest].slice(-maxEndedShared);
    },
    /**
     * Publishes what ended here, and learns what ended in other processes since the last call. It makes one call of Redis, which
     * reads one short text while no session ends.
     *
     * @throws RedisProblem. A later call then publishes what ended here
     */
    async synchronize(redis: ProbedRedis): Promise<void> {
      const [key] = redis.sealingKeys;
      if (key === undefined) return;
      const publishing = new Set(unshared);
      const members = unshared.map((digest) => makeMember(digest, key));
      let state = await sendAndLearn(redis, endedScript, members);
      // The list is bounded, and must be writable when others have filled Redis.
      if (state === 'full')
        state = await sendAndLearn(redis, allowAboveLimit(endedScript), members);
      if (state === 'written') unshared = unshared.filter((digest) => !publishing.has(digest));
    },
  };
}

function makeMember(digest: string, key: SealingKey): string {
  return `${digest}.${createHmacSha256(key.derive('ended sessions'))(digest)}`;
}

/** @returns undefined for a member that no gateway with one of these keys has written */
function readDigest(member: string, keys: readonly SealingKey[]): string | undefined {
  const [digest = ''] = member.split('.', 1);
  return keys.some((key) => makeMember(digest, key) === member) ? digest : undefined;
}
