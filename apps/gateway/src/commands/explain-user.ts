import type { UserInfo } from '@sallyport/authenticator';
import { identityPolicy, identityPrefixes } from '../chain/identity-policy.ts';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createLogger } from '../logging/logger.ts';
import { printable } from '../logging/printable.ts';
import { type CreatedAuthenticator, issuesTokens } from '../runtime/authenticators.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { readBlocks, withAuthenticators } from './connections.ts';
import { createObserver, type Observed, printExplanation } from './explain-report.ts';
import { type Issuing, issuingOf, withIssuer } from './issuer.ts';
import { lockoutJson, namedLockouts } from './lockouts.ts';
import { exitCodes } from './output.ts';
import { entryJson } from './report.ts';
import { momentText } from './times.ts';

/**
 * Shows what is known of a user without a token: which authenticators know the name, with which groups, and whether the
 * running gateways have them blocked or locked out.
 */
export async function explainUser(config: GatewayConfig, name: string, output: 'text' | 'json', redis?: ProbedRedis) {
  const observed = createObserver(config.authenticators);
  const theirs = config.authenticators.filter(({ username: { prefix } }) => name.startsWith(prefix) && name !== prefix);
  const logger = await createLogger('error');
  const known = await withAuthenticators({ ...config, authenticators: theirs }, logger, (created) => {
    return Promise.all(created.map((one) => askOne(config, one, name, observed)));
  });
  const fleet = await readFleet(config, name, observed, redis);
  const rows = known.map(({ authenticator, answer, reason, tokens }) => {
    return [authenticator, answer, reason, tokens === null ? '' : String(tokens)];
  });
  const lines = fleet?.lines ?? ['blocked or locked out: not known, since no cache Redis could be read'];
  printExplanation(
    output,
    observed,
    (seen) => ({ user: name, authenticators: known, ...seen, ...fleet?.json }),
    [['AUTHENTICATOR', 'ANSWER', 'REASON', 'TOKENS'], rows],
    lines.map(printable).join('\n'),
  );
  if (known.some(({ answer }) => answer === 'could not be checked')) return exitCodes.failure;
  const isKnown = known.some(({ answer, tokens }) => answer === 'known' || (tokens ?? 0) > 0);
  return isKnown ? exitCodes.success : exitCodes.negative;
}

/** Reads whether the running gateways have the user blocked or locked out; undefined when that can't be read. */
async function readFleet(config: GatewayConfig, name: string, { groups }: Observed, redis: ProbedRedis | undefined) {
  const { blocks, isRead } = await readBlocks(redis);
  if (redis === undefined || !isRead) return undefined;
  const block = blocks.ofUser(
    name,
    groups.flatMap(({ final }) => final),
  );
  const locks = await namedLockouts(redis, config, name);
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

type Known = 'known' | 'not known' | 'refused by policy' | 'cannot be looked up' | 'could not be checked';

async function askOne(config: GatewayConfig, created: CreatedAuthenticator, name: string, observed: Observed) {
  const { config: one } = created;
  const username = name.slice(one.username.prefix.length);
  // Issued tokens that are neither revoked nor expired; null where none are issued.
  const found = (tokens: number | null, answer: Known, reason = '') => {
    return { authenticator: one.name, tokens, reason, answer };
  };
  try {
    const issued = issuesTokens(one) ? await issuedTo(issuingOf(config, one), username, observed) : undefined;
    const tokens = issued?.tokens ?? null;
    const user = await lookUp(created, username, issued, observed);
    if (user === null) return found(tokens, 'cannot be looked up', 'only a token shows its user');
    if (user === undefined) return found(tokens, 'not known');
    // Their names are those of who logged in, and were judged then.
    if (one.name === config.login?.sessions) return found(tokens, 'known', 'sessions');
    const judged = identityPolicy(one, identityPrefixes(config.authenticators), config.provenance?.keyPrefix)(user);
    observed.onNames(one.name, user, judged.user);
    if (judged.breach) return found(tokens, 'refused by policy', judged.breach.rule);
    return found(tokens, 'known', judged.user.username);
  } catch (error) {
    return found(null, 'could not be checked', causeOf(error));
  }
}

/** An authenticator that issues tokens and has no `lookUp` knows the users that have tokens. @returns null: no one can be looked up */
async function lookUp(
  { config, authenticator }: CreatedAuthenticator,
  username: string,
  issued: { readonly user: UserInfo | undefined } | undefined,
  { onStep }: Observed,
) {
  if (authenticator.lookUp === undefined) return issued === undefined ? null : issued.user;
  const signal = AbortSignal.timeout(config.timeout);
  return await authenticator.lookUp(username, { signal, trace: (step) => onStep(config.name, step) });
}

/** Counts the valid tokens of a name, and joins the groups of their user. It reads one by one: there may be very many, of all users. */
async function issuedTo(issuing: Issuing, username: string, { onStep }: Observed) {
  const counts = { valid: 0, revoked: 0, expired: 0, unreadable: 0 };
  const lists = new Set<string>();
  let first: UserInfo | undefined;
  await withIssuer(issuing, async (issuer) => {
    for await (const token of issuer.list({ username })) {
      if ('fault' in token) counts.unreadable++;
      else if (token.revoked) counts.revoked++;
      else if (token.expiresAt && token.expiresAt.getTime() <= Date.now()) counts.expired++;
      else {
        counts.valid++;
        first ??= token.user;
        lists.add(JSON.stringify([...(token.user.groups ?? [])].sort()));
      }
    }
  });
  const { valid, revoked, expired, unreadable } = counts;
  const { name } = issuing.authenticator;
  onStep(name, `tokens issued to this name: ${valid} valid, ${revoked} revoked, ${expired} expired`);
  if (lists.size > 1) onStep(name, 'the tokens have different groups: each token gives only its own');
  if (unreadable > 0) onStep(name, `records that cannot be read, of whichever user: ${unreadable}`);
  const groups = [...new Set([...lists].flatMap((list): readonly string[] => JSON.parse(list)))].sort();
  return { tokens: valid, user: first && { ...first, groups } };
}
