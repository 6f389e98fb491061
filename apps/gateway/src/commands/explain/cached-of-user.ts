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
import type { Reading, UserFacts } from '../users/user-facts.ts';

interface AnswerFilter {
  readonly revocations: Reading<RevocationList>;
  readonly sessions: UserFacts['sessions'];
}

/**
 * Finds the cached answers that the gateways use where an authenticator can't be asked now.
 *
 * @returns for each such authenticator their number and when the last one ends, or as `problem` why that is not known
 */
export async function readCachedAnswers(
  context: CommandContext,
  config: GatewayConfig,
  name: string,
  lookUps: readonly LookUpRow[],
  { revocations, sessions }: AnswerFilter,
  redis?: ProbedRedis,
) {
  const isDown = ({ answer, account }: LookUpRow) =>
    [answer, account].some((text) => text?.startsWith(unavailable));
  const downAuthenticators = config.authenticators.filter((authenticator) =>
    lookUps.some((lookUp) => isDown(lookUp) && lookUp.authenticator === authenticator.name),
  );
  return Promise.all(
    downAuthenticators.map(async (authenticator) => {
      const { directory } =
        lookUps.find((lookUp) => lookUp.authenticator === authenticator.name) ?? {};
      const source = {
        authenticator: authenticator.name,
        ...(directory !== undefined && { directory }),
      };
      if (redis === undefined) return { ...source, problem: 'the config has no cache.redis' };
      if ('problem' in revocations) return { ...source, problem: revocations.problem };
      if ('problem' in sessions) return { ...source, problem: sessions.problem };
      try {
        const isRevoked = (revision: number, username: string) =>
          revocations.value.isRevoked(revision, username, '');
        const sources = { redis, isRevoked, sessions: sessions.value ?? [] };
        const ends = await (directory === undefined
          ? readEnds(context, config, authenticator, name, sources)
          : readEndsInDirectory(context, config, authenticator, name, sources));
        return {
          ...source,
          answers: ends.length,
          until: ends.length === 0 ? null : new Date(Math.max(...ends)),
        };
      } catch (error) {
        return { ...source, problem: describeCause(error) };
      }
    }),
  );
}

type CachedAnswers = Awaited<ReturnType<typeof readCachedAnswers>>[number];

export function cachedJson(cached: CachedAnswers): object {
  if (!('problem' in cached)) return cached;
  const { problem: unread, ...source } = cached;
  return { ...source, unread };
}

export function cachedLines(
  name: string,
  cached: readonly CachedAnswers[],
  lookUps: readonly LookUpRow[],
): readonly string[] {
  return cached.map((answersOfSource) => {
    const { isOfUser, answer } =
      lookUps.find(({ authenticator }) => authenticator === answersOfSource.authenticator) ?? {};
    // It has answered the look-up where only the state of the account could not be read.
    const hasAnswered = isOfUser === true || answer !== unavailable;
    const outage = `${answersOfSource.directory ?? answersOfSource.authenticator} ${hasAnswered ? `answers, but could not check ${name}` : "can't be asked now"}`;
    if ('problem' in answersOfSource)
      return `${outage}. What the gateways have cached of ${name} is not known, since ${answersOfSource.problem}`;
    const { answers, until } = answersOfSource;
    if (until === null)
      return `${outage}, and no answer about ${name} is in the cache that the gateways share`;
    const subject = answers === 1 ? '1 cached answer' : `${answers} cached answers`;
    return `${outage}. The gateways still let ${name} in by ${subject}, until ${momentText(+until)} at the latest, unless there is a block`;
  });
}

interface Sources {
  readonly redis: ProbedRedis;
  /** Whether answers of this revision are revoked for a user, as Kubernetes sees them. It can't tell for a single token, since the record of an answer does not name it. */
  readonly isRevoked: (revision: number, user: string) => boolean;
  /** Valid sessions: an answer about the user of another session lets no one in. */
  readonly sessions: readonly SeenToken[];
}

/**
 * Reads the answers about a user that the gateways share, and use while the backend can't be asked: answers to tokens, and
 * answers about the user of sessions.
 *
 * @param name as Kubernetes sees it, with the prefix of `authenticator`
 * @returns when each of them can be used no more, by the wall clock
 */
async function readEnds(
  context: CommandContext,
  { login, cache: lifetimes }: GatewayConfig,
  authenticator: AuthenticatorConfig,
  name: string,
  { redis, isRevoked, sessions }: Sources,
): Promise<readonly number[]> {
  const { cache, fingerprint } = authenticator;
  const clocks = { ...systemClocks, wall: context.now };
  const username = name.slice(authenticator.username.prefix.length);
  const readUsableEnds = async (
    settings: CacheLifetimes & { readonly fingerprint: string },
    session?: Session,
  ) => {
    const user = { fingerprint: settings.fingerprint, username };
    const question = session && { ...user, token: writeSessionUser(session), audiences: [] };
    const storedAnswers = await readAnswersOfUser(redis, clocks, user, question);
    const usable = storedAnswers.filter(({ revision }) => !isRevoked(revision, name));
    return usable.map((entry) =>
      Math.min(findEndOfUse(entry, settings, clocks), session?.until ?? Infinity),
    );
  };
  const tokenReads =
    cache !== 'off' && cache.store === 'shared' ? [readUsableEnds({ ...cache, fingerprint })] : [];
  // No one is asked about the users of providers, unless there is a directory.
  const userSessions = sessions.flatMap(({ session, state }) =>
    session?.authenticator === authenticator.name &&
    session.provider === undefined &&
    state.startsWith('good')
      ? [session]
      : [],
  );
  const isForLogins = login?.authenticators.includes(authenticator.name) === true;
  const sessionReads = isForLogins
    ? userSessions.map((session) =>
        readUsableEnds(sessionUsersCache(authenticator, login, lifetimes), session),
      )
    : [];
  const ends = await Promise.all([...tokenReads, ...sessionReads]);
  return ends.flat().filter((end) => end > context.now());
}

/**
 * Reads the answer of its directory about a user of an authenticator, which the gateways use while the directory can't be asked.
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
  const directoryAuthenticator = authenticators.find((a) => a.name === directory?.authenticator);
  if (directory === undefined || directoryAuthenticator === undefined) return [];
  if (directory.by !== 'username')
    throw new Error(`only a token shows by what ${directoryAuthenticator.name} finds its user`);
  const settings = directoryCache(directoryAuthenticator, directory.refresh, lifetimes);
  const token = name.slice(username.prefix.length);
  const question = { token, audiences: [], fingerprint: settings.fingerprint };
  const clocks = { ...systemClocks, wall: context.now };
  const lookup = await createRedisTier(redis, clocks).get(question);
  if (lookup.result === 'error') throw new Error("the cache Redis can't be read");
  if (lookup.result !== 'hit') return [];
  const { revision, decision } = lookup.entry;
  if (isRevoked(revision, directoryAuthenticator.username.prefix + decision.user.username))
    return [];
  return [findEndOfUse(lookup.entry, settings, clocks)].filter((end) => end > context.now());
}
