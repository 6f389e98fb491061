import { describeCause } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { selectBlocks } from '../../engine/revocation/list.ts';
import { readListing } from '../../engine/revocation/redis-list.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { issuesTokens } from '../../runtime/authenticators.ts';
import type { CommandContext } from '../context.ts';
import { type SeenToken, seeToken, setUpIssuer, withIssuer } from '../issuer.ts';
import { unavailable } from './look-up-row.ts';
import { namedLockouts } from './named-lockouts.ts';

/**
 * Reads the sessions of a user that have not ended, the newest first, and the sessions that none of our sealing keys opens.
 *
 * @returns undefined without `login`
 */
export async function readSessions(
  context: CommandContext,
  config: GatewayConfig,
  name: string,
): Promise<readonly SeenToken[] | undefined> {
  const sessionAuthenticator = config.authenticators.find((a) => a.name === config.login?.sessions);
  if (sessionAuthenticator === undefined || !issuesTokens(sessionAuthenticator)) return undefined;
  const issuing = setUpIssuer(context, config, sessionAuthenticator);
  const now = context.now();
  const userSessions: SeenToken[] = [];
  await withIssuer(context, issuing, async (issuer) => {
    for await (const issued of issuer.list({ username: name, sessions: true })) {
      if (!('problem' in issued)) userSessions.push(seeToken(issued, issuing.nameUser, now));
    }
  });
  const since = ({ session }: SeenToken) => session?.since ?? 0;
  return userSessions
    .filter(({ state, session }) => session !== undefined || state === 'sealed with other keys')
    .filter(({ state }) => state !== 'revoked' && state !== 'expired')
    .sort((a, b) => since(b) - since(a));
}

interface Trace {
  readonly name: string;
  readonly where: string;
  readonly answer: 'known' | typeof unavailable;
  /** Why it could not be checked. */
  readonly reason: string;
}

/**
 * Finds what the gateways themselves know of names: a directory may have deleted a user who still has a session.
 *
 * @param redis left out: no blocks and no lockouts are looked for
 */
export async function readTraces(
  context: CommandContext,
  config: GatewayConfig,
  names: readonly string[],
  redis?: ProbedRedis,
) {
  const unchecked = (where: string) => (error: unknown) => {
    const reason = describeCause(error);
    return names.map((name): Trace => ({ name, where, answer: unavailable, reason }));
  };
  const sessions = config.login?.sessions ?? '';
  const [sessionTraces, fleetTraces] = await Promise.all([
    readSessionNames(context, config, names, sessions).catch(unchecked(sessions)),
    redis ? readFleet(redis, config).catch(unchecked('blocks and lockouts')) : [],
  ]);
  return [...sessionTraces, ...fleetTraces].filter(({ name }) => names.includes(name));
}

async function readSessionNames(
  context: CommandContext,
  config: GatewayConfig,
  names: readonly string[],
  where: string,
) {
  const traces = names.map(async (name): Promise<readonly Trace[]> => {
    const sessions = (await readSessions(context, config, name)) ?? [];
    return sessions.length > 0 ? [{ name, where, ...knownAnswer }] : [];
  });
  return (await Promise.all(traces)).flat();
}

const knownAnswer = { answer: 'known', reason: '' } as const;

/** Reads which users the running gateways refuse. */
async function readFleet(redis: ProbedRedis, config: GatewayConfig): Promise<readonly Trace[]> {
  const [listing, lockouts] = await Promise.all([readListing(redis), namedLockouts(redis, config)]);
  const blocks = selectBlocks(listing).filter(({ kind }) => kind === 'user');
  return [
    ...blocks.map(({ name }) => ({ name, where: 'blocks', ...knownAnswer })),
    ...lockouts.map(({ user }) => ({ name: user, where: 'lockouts', ...knownAnswer })),
  ];
}
