import { endOfUse } from '../cache/record.ts';
import { readAnswersOfUser } from '../cache/redis-tier.ts';
import { systemClocks } from '../clocks.ts';
import { causeOf } from '../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import type { RevocationList } from '../revocation/list.ts';
import { sessionUsersCache } from '../runtime/assemble-login.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import type { LookedUp } from './look-up-user.ts';
import { momentText } from './times.ts';
import type { Part } from './user-parts.ts';

/** What the gateways go on with where an authenticator can't be asked now. `unread`: why it is not known. */
export async function readCached(
  config: GatewayConfig,
  name: string,
  looked: readonly LookedUp[],
  revocations: Part<RevocationList>,
  redis?: ProbedRedis,
) {
  const isDown = ({ answer, account }: LookedUp) => [answer, account].some((text) => text?.startsWith(unavailable));
  const away = config.authenticators.filter((one) =>
    looked.some((each) => isDown(each) && each.authenticator === one.name),
  );
  return Promise.all(
    away.map(async (one) => {
      const authenticator = one.name;
      if (redis === undefined) return { authenticator, unread: 'the config has no cache.redis' };
      if ('unread' in revocations) return { authenticator, unread: revocations.unread };
      try {
        const ends = await readCachedAnswers(config, one, name, redis, revocations.value);
        return { authenticator, answers: ends.length, until: ends.length === 0 ? null : new Date(Math.max(...ends)) };
      } catch (error) {
        return { authenticator, unread: causeOf(error) };
      }
    }),
  );
}

const unavailable = 'could not be checked';

export function cachedLines(
  name: string,
  cached: Awaited<ReturnType<typeof readCached>>,
  looked: readonly LookedUp[],
): readonly string[] {
  return cached.map((one) => {
    const { isOfUser, answer } = looked.find(({ authenticator }) => authenticator === one.authenticator) ?? {};
    // It has answered the look-up where only the state of the account could not be read.
    const hasAnswered = isOfUser === true || answer !== unavailable;
    const first = `${one.authenticator} ${hasAnswered ? `answers, but could not check ${name}` : 'could not be asked now'}`;
    if ('unread' in one) return `${first}. What the gateways have cached of ${name} is not known, since ${one.unread}`;
    const { answers, until } = one;
    if (until === null) return `${first}, and no answer about ${name} is in the cache that the gateways share`;
    const subject = answers === 1 ? '1 cached answer' : `${answers} cached answers`;
    return `${first}. The gateways still let ${name} in by ${subject}, until ${momentText(+until)} at the latest, unless there is a block`;
  });
}

/**
 * Reads the answers about a user that the gateways share, and use while the backend can't be asked: those to tokens, and those about the
 * user of sessions.
 *
 * @param name as Kubernetes sees it, with the prefix of `one`
 * @returns when each of them can be used no more, by the wall clock
 */
async function readCachedAnswers(
  config: GatewayConfig,
  one: AuthenticatorConfig,
  name: string,
  redis: ProbedRedis,
  revocations: RevocationList,
): Promise<readonly number[]> {
  const { cache, fingerprint } = one;
  const tokens = cache !== 'off' && cache.store === 'shared' ? [{ ...cache, fingerprint }] : [];
  const isForLogins = config.login?.authenticators.includes(one.name) === true;
  const sessions = config.login && isForLogins ? [sessionUsersCache(one, config.login, config.cache)] : [];
  const username = name.slice(one.username.prefix.length);
  const ends = await Promise.all(
    [...tokens, ...sessions].map(async (settings) => {
      const found = await readAnswersOfUser(redis, systemClocks, { fingerprint: settings.fingerprint, username });
      // Whether one token was revoked is not known here: its record does not name it.
      const usable = found.filter(({ revision }) => !revocations.isRevoked(revision, name, ''));
      return usable.map((entry) => endOfUse(entry, settings, systemClocks));
    }),
  );
  return ends.flat().filter((end) => end > Date.now());
}
