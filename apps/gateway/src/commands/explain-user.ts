import type { UserInfo } from '@sallyport/authenticator';
import { identityPolicy, identityPrefixes } from '../chain/identity-policy.ts';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { readLockouts } from '../lockout/shared-lockouts.ts';
import { createLogger } from '../logging/logger.ts';
import { printable } from '../logging/printable.ts';
import {
  type CreatedAuthenticator,
  closeAuthenticator,
  createAuthenticators,
  issuesTokens,
} from '../runtime/authenticators.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { localAttempts, readBlocks } from './cache-redis.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { createObserver, type Observed, observedJson, printObserved } from './explain-report.ts';
import { type Issuing, issuingOf, withIssuer } from './issuer.ts';
import { lockoutJson, namedLockouts } from './lockouts.ts';
import { type OutputFormat, printJson, printTable } from './output.ts';
import { entryJson } from './report.ts';
import { momentText } from './times.ts';

/** What one authenticator knows of a name. */
interface KnownBy {
  readonly authenticator: string;
  /** `cannot be looked up`: only with a token. */
  readonly answer: 'known' | 'not known' | 'refused by policy' | 'cannot be looked up' | 'could not be checked';
  readonly reason: string;
  /** Issued tokens that are neither revoked nor expired; null where none are issued. */
  readonly tokens: number | null;
}

/**
 * Shows what is known of a user without a token: which authenticators know the name, with which groups, and whether the
 * running gateways have them blocked or locked out.
 *
 * @param name as Kubernetes sees it
 * @param redis left out: the config has no cache.redis
 */
export async function explainUser(
  config: GatewayConfig,
  name: string,
  output: OutputFormat,
  redis: ProbedRedis | undefined,
): Promise<ExitCode> {
  const observed = createObserver(config.authenticators);
  const known = await knownBy(config, name, observed);
  const groups = observed.groups.flatMap((one) => one.groups.flatMap((group) => group.name ?? []));
  const fleet = await readFleet(config, name, groups, redis);
  if (output === 'json') printJson({ user: name, authenticators: known, ...observedJson(observed), ...fleet?.json });
  else {
    const rows = known.map(({ authenticator, answer, reason, tokens }) => {
      return [authenticator, answer, reason, tokens === null ? '' : String(tokens)];
    });
    printTable(['AUTHENTICATOR', 'ANSWER', 'REASON', 'TOKENS'], rows);
    printObserved(observed);
    const lines = fleet?.lines ?? ['blocked or locked out: not known, since no cache Redis could be read'];
    process.stdout.write(`\n${lines.map((line) => `${printable(line)}\n`).join('')}`);
  }
  if (known.some(({ answer }) => answer === 'could not be checked')) return exitCodes.failure;
  const isKnown = known.some(({ answer, tokens }) => answer === 'known' || (tokens ?? 0) > 0);
  return isKnown ? exitCodes.success : exitCodes.negative;
}

/** Reads whether the running gateways have the user blocked or locked out; undefined when that can't be read. */
async function readFleet(
  config: GatewayConfig,
  name: string,
  groups: readonly string[],
  redis: ProbedRedis | undefined,
): Promise<{ readonly json: object; readonly lines: readonly string[] } | undefined> {
  const { blocks, isRead } = await readBlocks(redis);
  if (redis === undefined || !isRead) return undefined;
  const block = blocks.ofUser(name, groups);
  const all = namedLockouts(await readLockouts(redis, config.lockout), config);
  const locks = all.filter(({ user }) => user === name);
  const lockLines = locks.map(({ refused, authenticator, isLockedOut, until }) => {
    const state = isLockedOut ? 'locked out' : 'not locked out';
    return `${state}: ${refused} refused tries with ${authenticator}, which count until ${momentText(until)}`;
  });
  return {
    json: { blocked: block ? entryJson(block) : null, lockouts: locks.map(lockoutJson) },
    lines: [
      block ? `blocked until ${momentText(block.until)} by ${block.by}, as ${block.kind} ${block.name}` : 'not blocked',
      ...(locks.length === 0 ? ['not locked out'] : lockLines),
    ],
  };
}

async function knownBy(config: GatewayConfig, name: string, observed: Observed): Promise<readonly KnownBy[]> {
  const logger = await createLogger('error');
  const attempts = localAttempts(config);
  const theirs = config.authenticators.filter(({ username: { prefix } }) => name.startsWith(prefix) && name !== prefix);
  const created = await createAuthenticators({ ...config, authenticators: theirs }, { logger, attempts });
  try {
    return await Promise.all(created.map((one) => askOne(config, one, name, observed)));
  } finally {
    await Promise.all(created.map((one) => closeAuthenticator(one, logger)));
  }
}

async function askOne(
  config: GatewayConfig,
  created: CreatedAuthenticator,
  name: string,
  observed: Observed,
): Promise<KnownBy> {
  const { config: one } = created;
  const username = name.slice(one.username.prefix.length);
  const found = { authenticator: one.name, tokens: null, reason: '' };
  try {
    const issued = issuesTokens(one) ? await issuedTo(issuingOf(config, one), username, observed) : undefined;
    const tokens = issued?.tokens ?? null;
    const user = await lookUp(created, username, issued, observed);
    if (user === null) {
      return { ...found, tokens, answer: 'cannot be looked up', reason: 'only a token shows its user' };
    }
    if (user === undefined) return { ...found, tokens, answer: 'not known' };
    // Their names are those of who logged in, and were judged then.
    if (one.name === config.login?.sessions) return { ...found, tokens, answer: 'known', reason: 'sessions' };
    const judged = identityPolicy(one, identityPrefixes(config.authenticators), config.provenance?.keyPrefix)(user);
    observed.onNames(one.name, user, judged.user);
    if (judged.breach) return { ...found, tokens, answer: 'refused by policy', reason: judged.breach.rule };
    return { ...found, tokens, answer: 'known', reason: judged.user.username };
  } catch (error) {
    return { ...found, answer: 'could not be checked', reason: causeOf(error) };
  }
}

/**
 * An authenticator that issues tokens and has no `lookUp` knows the users that have tokens.
 *
 * @returns null where no one can be looked up
 */
async function lookUp(
  { config, authenticator }: CreatedAuthenticator,
  username: string,
  issued: Issued | undefined,
  observed: Observed,
): Promise<UserInfo | undefined | null> {
  if (authenticator.lookUp === undefined) return issued === undefined ? null : issued.user;
  const signal = AbortSignal.timeout(config.timeout);
  return await authenticator.lookUp(username, { signal, trace: (step) => observed.onStep(config.name, step) });
}

/** The valid tokens of a name. */
interface Issued {
  readonly tokens: number;
  /** With the groups of all of them; undefined when there is no token. */
  readonly user: UserInfo | undefined;
}

/** Reads the tokens one by one: there may be very many, of all users. */
async function issuedTo(issuing: Issuing, username: string, { onStep }: Observed): Promise<Issued> {
  const counts = { all: 0, valid: 0, revoked: 0, unreadable: 0 };
  const lists = new Set<string>();
  let first: UserInfo | undefined;
  await withIssuer(issuing, async (issuer) => {
    for await (const token of issuer.list({ username })) {
      if ('fault' in token) counts.unreadable++;
      else counts.all++;
      if ('fault' in token) continue;
      const { user, expiresAt, revoked } = token;
      if (revoked) counts.revoked++;
      if (revoked || (expiresAt && expiresAt.getTime() <= Date.now())) continue;
      counts.valid++;
      first ??= user;
      lists.add(JSON.stringify([...(user.groups ?? [])].sort()));
    }
  });
  const { all, valid, revoked, unreadable } = counts;
  const { name } = issuing.authenticator;
  onStep(name, `tokens issued to this name: ${valid} valid, ${revoked} revoked, ${all - valid - revoked} expired`);
  if (lists.size > 1) onStep(name, 'the tokens have different groups: each token gives only its own');
  if (unreadable > 0) onStep(name, `records that cannot be read, of whichever user: ${unreadable}`);
  const groups = [...new Set([...lists].flatMap((list): readonly string[] => JSON.parse(list)))].sort();
  return { tokens: valid, user: first && { ...first, groups } };
}
