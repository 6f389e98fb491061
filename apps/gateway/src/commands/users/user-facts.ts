import { describeCause } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { createIdentityPolicy } from '../../engine/chain/identity-policy.ts';
import type { Entry } from '../../engine/revocation/list.ts';
import { answerForProviderUser } from '../../engine/sessions/session-user.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { proofActions } from '../../login/login-facts.ts';
import { auditJson } from '../../observe/audit/entry.ts';
import { findLastLines } from '../../observe/audit/last-lines.ts';
import { readBlockList } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import type { SeenToken } from '../issuer.ts';
import { namedLockouts } from './named-lockouts.ts';
import { readSessions } from './user-traces.ts';

export type Reading<Value> = { readonly value: Value } | { readonly problem: string };

export type UserFacts = Awaited<ReturnType<typeof readUserFacts>>['facts'];

/** Names are as Kubernetes sees them. `digests` are the digests of valid tokens that were issued to the user; the digests of sessions are read here. */
interface UserIdentifiers {
  readonly name: string;
  readonly groups: readonly string[];
  readonly digests: readonly string[];
  /** The users in directories who give this one their groups. A block of one of them acts on this user too. */
  readonly accounts: readonly string[];
}

/** Reads what may keep a user out or let them in, besides the backends. One fact that can't be read hides no other fact. */
export async function readUserFacts(
  context: CommandContext,
  config: GatewayConfig,
  { name, groups, digests, accounts }: UserIdentifiers,
  redis: ProbedRedis | undefined,
) {
  const [revocations, lockouts, allSessions, audit] = await Promise.all([
    toReading(() => readBlockList(context, config, needRedis(redis))),
    toReading(async () => namedLockouts(needRedis(redis), config, name)),
    toReading(() => readSessions(context, config, name)),
    toReading(() => readTrail(config, name)),
  ]);
  const sessions =
    'problem' in allSessions
      ? allSessions
      : { value: allSessions.value?.filter(({ session }) => session !== undefined) };
  const sessionDigests =
    'value' in sessions ? (sessions.value ?? []).map(({ issued }) => issued.digest) : [];
  const selectBlocks = (names: BlockedNames) =>
    'problem' in revocations ? revocations : { value: findBlocks(revocations.value, names) };
  const idTokenGroups = 'value' in sessions ? readIdTokenGroups(config, sessions.value ?? []) : [];
  const blocks = selectBlocks({ user: [name, ...accounts], group: [...groups, ...idTokenGroups] });
  const blockedTokens = selectBlocks({ token: [...digests, ...sessionDigests] });
  /** How many of the user's sessions none of the sealing keys of this config opens. */
  const sealedElsewhere =
    'value' in allSessions ? (allSessions.value?.length ?? 0) - sessionDigests.length : 0;
  return {
    facts: { blocks, blockedTokens, lockouts, sessions, audit },
    sealedElsewhere,
    revocations,
  };
}

/** Returns the groups that users of providers have from their ID tokens, as Kubernetes sees them. No one can be asked for them. */
function readIdTokenGroups(
  config: Pick<GatewayConfig, 'authenticators' | 'provenance'>,
  sessions: readonly SeenToken[],
): readonly string[] {
  return sessions.flatMap(({ session }) => {
    const authenticator = config.authenticators.find(({ name }) => name === session?.authenticator);
    if (session?.provider === undefined || authenticator === undefined) return [];
    const { user } = answerForProviderUser(session);
    return createIdentityPolicy(config, authenticator)(user).user.groups ?? [];
  });
}

async function toReading<Value>(readValue: () => Promise<Value>): Promise<Reading<Value>> {
  try {
    return { value: await readValue() };
  } catch (error) {
    return { problem: describeCause(error) };
  }
}

function needRedis(redis: ProbedRedis | undefined): ProbedRedis {
  if (redis !== undefined) return redis;
  throw new Error('the config has no cache.redis, where gateways share this');
}

type BlockedNames = Readonly<Partial<Record<Entry['kind'], readonly string[]>>>;

/** Returns all blocks of these names: to end one of them is not enough. */
function findBlocks({ blocks }: { readonly blocks: readonly Entry[] }, names: BlockedNames) {
  return blocks.filter((block) => names[block.kind]?.includes(block.name));
}

/** How many lines of the audit trail are shown. */
const lastLines = 5;

/** The keys of a line that are shown. The token's fingerprint, and who was asked, explain nothing here. */
const shownKeys = [
  ...[
    'time',
    'event',
    'outcome',
    'reason',
    'authenticator',
    'provider',
    'directory',
    'account',
    'cached',
    'username',
    'subject',
    'caller',
  ],
  ...[
    'session',
    'factor',
    'invitedBy',
    'cluster',
    'device',
    'address',
    'kind',
    'name',
    'by',
    'until',
  ],
];

export type TrailLine = Readonly<Record<string, string>>;

/** Reads the last lines about a user. @throws Error when there is no audit trail, or it can't be read */
async function readTrail({ audit, authenticators }: GatewayConfig, name: string) {
  if (audit === undefined) throw new Error('the config has no audit');
  const prefixes = new Map(authenticators.map((a) => [a.name, a.username.prefix]));
  const matchingPrefixes = [...prefixes.values()].filter((prefix) => name.startsWith(prefix));
  // The name without the longest prefix that it may have is in each line about the user.
  const minimal = name.slice(Math.max(0, ...matchingPrefixes.map(({ length }) => length)));
  const search = {
    text: auditJson(minimal).slice(1, -1),
    matches: (line: Readonly<Record<string, unknown>>) => isAbout(line, name, prefixes),
    count: lastLines,
  };
  const { lines, isPartial } = await findLastLines(audit, search);
  const texts = (line: Readonly<Record<string, unknown>>): TrailLine =>
    Object.fromEntries(
      shownKeys.flatMap((key) => (typeof line[key] === 'string' ? [[key, line[key]]] : [])),
    );
  return { lines: lines.map(texts), isPartial };
}

/** The lines about logins have the name of the backend, even if a block refused the user. */
const loginEvents: ReadonlySet<unknown> = proofActions;

/** Whether a line of the trail is about a user, or about the user of a token whose account it is. A refused user has the name of the backend there, unless a block refused the token. */
function isAbout(
  line: Readonly<Record<string, unknown>>,
  name: string,
  prefixes: ReadonlyMap<unknown, string>,
): boolean {
  if (line.username === name || line.account === name) return true;
  if (line.kind === 'user' && line.name === name) return true;
  if (typeof line.subject !== 'string') return false;
  const isPrefixed = line.reason === 'blocked' && !loginEvents.has(line.event);
  return (isPrefixed ? '' : (prefixes.get(line.authenticator) ?? '')) + line.subject === name;
}
