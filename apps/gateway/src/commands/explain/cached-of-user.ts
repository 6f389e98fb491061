import { systemClocks } from '../../base/clocks.ts';
import { describeCause } from '../../config/problems.ts';
import type { AuthenticatorConfig, CacheLifetimes, GatewayConfig } from '../../config/types.ts';
import { findEndOfUse } from '../../engine/cache/record.ts';
import { createRedisTier, readAnswersOfUser } from '../../engine/cache/redis-tier.ts';
import type { RevocationList } from '../../engine/revocation/list.ts';
import type { Session } from '../../engine/sessions/session-text.ts';
import { writeSessionUser } from '../../engine/sessions/session-user.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { directoryCache } from '../../runtime/assemble-directory.ts';
import { sessionUsersCache } from '../../runtime/assemble-login.ts';
import type { CommandContext } from '../context.ts';
import type { SeenToken } from '../issuer.ts';
import { momentText } from '../times.ts';
import { type LookUpRow, unavailable } from '../users/look-up-row.ts';
import type { Part, UserParts } from '../users/user-parts.ts';

/** The Limits say which of the cached answers can be used. */
interface Limits {
  readonly revocations: Part<RevocationList>;
  readonly sessions: UserParts['sessions'];
}

/**
 * Finds the cached answers that the gateways use where an authenticator can't be asked now.
 *
 * @returns for each such authenticator their number and when the last one ends, or as `problem` why that is not known
 */
export async function readCached(
  context: CommandContext,
  config: GatewayConfig,
  name: string,
  looked: readonly LookUpRow[],
  { revocations, sessions }: Limits,
  redis?: ProbedRedis,
) {
  const isDown = ({ answer, account }: LookUpRow) =>
    [answer, account].some((text) => text?.startsWith(unavailable));
  const away = config.authenticators.filter((one) =>
    looked.some((each) => isDown(each) && each.authenticator === one.name),
  );
  return Promise.all(
    away.map(async (one) => {
      const { directory } = looked.find((each) => each.authenticator === one.name) ?? {};
      const which = { authenticator: one.name, ...(directory !== undefined && { directory }) };
      if (redis === undefined) return { ...which, problem: 'the config has no cache.redis' };
      if ('problem' in revocations) return { ...which, problem: revocations.problem };
      if ('problem' in sessions) return { ...which, problem: sessions.problem };
      try {
        const isRevoked = (revision: number, of: string) =>
          revocations.value.isRevoked(revision, of, '');
        const sources = { redis, isRevoked, sessions: sessions.value ?? [] };
        const ends = await (directory === undefined
          ? readEnds(context, config, one, name, sources)
          : readEndsInDirectory(context, config, one, name, sources));
        return {
          ...which,
          answers: ends.length,
          until: ends.length === 0 ? null : new Date(Math.max(...ends)),
        };
      } catch (error) {
        return { ...which, problem: describeCause(error) };
      }
    }),
  );
}

type Cached = Awaited<ReturnType<typeof readCached>>[number];

export function cachedJson(one: Cached): object {
  if (!('problem' in one)) return one;
  const { problem: unread, ...which } = one;
  return { ...which, unread };
}

export function cachedLines(
  name: string,
  cached: readonly Cached[],
  looked: readonly LookUpRow[],
): readonly string[] {
  return cached.map((one) => {
    const { isOfUser, answer } =
      looked.find(({ authenticator }) => authenticator === one.authenticator) ?? {};
    // It has answered the look-up where only the state of the account could not be read.
    const hasAnswered = isOfUser === true || answer !== unavailable;
    const first = `${one.directory ?? one.authenticator} ${hasAnswered ? `answers, but could not check ${name}` : "can't be asked now"}`;
    if ('problem' in one)
      return `${first}. What the gateways have cached of ${name} is not known, since ${one.problem}`;
    const { answers, until } = one;
    if (until === null)
      return `${first}, and no answer about ${name} is in the cache that the gateways share`;
    const subject = answers === 1 ? '1 cached answer' : `${answers} cached answers`;
    return `${first}. The gateways still let ${name} in by ${subject}, until ${momentText(+until)} at the latest, unless there is a block`;
  });
}

interface Sources {
  readonly redis: ProbedRedis;
  /** Whether answers of this revision are revoked for a user, as Kubernetes sees them. It can't tell for a single token, since the record of an answer does not name it. */
  readonly isRevoked: (revision: number, user: string) => boolean;
  /** The valid ones: an answer about the user of another session lets no one in. */
  readonly sessions: readonly SeenToken[];
}

/**
 * Reads the answers about a user that the gateways share, and use while the backend can't be asked: those to tokens, and those about the
 * user of sessions.
 *
 * @param name as Kubernetes sees it, with the prefix of `one`
 * @returns when each of them can be used no more, by the wall clock
 */
async function readEnds(
  context: CommandContext,
  { login, cache: lifetimes }: GatewayConfig,
  one: AuthenticatorConfig,
  name: string,
  { redis, isRevoked, sessions }: Sources,
): Promise<readonly number[]> {
  const { cache, fingerprint } = one;
  const clocks = { ...systemClocks, wall: context.now };
  const username = name.slice(one.username.prefix.length);
  const read = async (
    settings: CacheLifetimes & { readonly fingerprint: string },
    session?: Session,
  ) => {
    const user = { fingerprint: settings.fingerprint, username };
    const question = session && { ...user, token: writeSessionUser(session), audiences: [] };
    const found = await readAnswersOfUser(redis, clocks, user, question);
    const usable = found.filter(({ revision }) => !isRevoked(revision, name));
    return usable.map((entry) =>
      Math.min(findEndOfUse(entry, settings, clocks), session?.until ?? Infinity),
    );
  };
  const toTokens =
    cache !== 'off' && cache.store === 'shared' ? [read({ ...cache, fingerprint })] : [];
  // No one is asked about the users of providers, unless there is a directory.
  const own = sessions.flatMap(({ session }) =>
    session?.authenticator === one.name && session.provider === undefined ? [session] : [],
  );
  const isForLogins = login?.authenticators.includes(one.name) === true;
  const aboutSessions = isForLogins
    ? own.map((session) => read(sessionUsersCache(one, login, lifetimes), session))
    : [];
  const ends = await Promise.all([...toTokens, ...aboutSessions]);
  return ends.flat().filter((end) => end > context.now());
}

/**
 * Reads the answer of its directory about a user of `one`, which the gateways use while the directory can't be asked.
 *
 * @returns when it can be used no more, by the wall clock
 * @throws Error when it can't be read, or when only a token shows by what the user is looked up
 */
async function readEndsInDirectory(
  context: CommandContext,
  { authenticators, cache: lifetimes }: GatewayConfig,
  { directory, username }: AuthenticatorConfig,
  name: string,
  { redis, isRevoked }: Sources,
): Promise<readonly number[]> {
  const its = authenticators.find((each) => each.name === directory?.authenticator);
  if (directory === undefined || its === undefined) return [];
  if (directory.by !== 'username')
    throw new Error(`only a token shows by what ${its.name} finds its user`);
  const settings = directoryCache(its, directory.refresh, lifetimes);
  const token = name.slice(username.prefix.length);
  const question = { token, audiences: [], fingerprint: settings.fingerprint };
  const clocks = { ...systemClocks, wall: context.now };
  const found = await createRedisTier(redis, clocks).get(question);
  if (found.result === 'error') throw new Error("the cache Redis can't be read");
  if (found.result !== 'hit') return [];
  const { revision, decision } = found.entry;
  if (isRevoked(revision, its.username.prefix + decision.user.username)) return [];
  return [findEndOfUse(found.entry, settings, clocks)].filter((end) => end > context.now());
}
