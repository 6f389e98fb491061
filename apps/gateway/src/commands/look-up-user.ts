import type { Authenticator, UserInfo } from '@sallyport/authenticator';
import type { ChainObserver } from '../chain/chain.ts';
import { identityPolicy, identityPrefixes } from '../chain/identity-policy.ts';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { type CreatedAuthenticator, issuesTokens } from '../runtime/authenticators.ts';
import { type Issuing, issuingOf, withIssuer } from './issuer.ts';

export type LookedUp = Awaited<ReturnType<typeof lookUpUser>>;

type Answer = 'known' | 'not known' | 'refused by policy' | 'cannot be looked up' | 'could not be checked';

/** Asks one authenticator about a user, without a token. It never throws. @param username without the prefix of gateway.yaml */
export async function lookUpUser(
  config: GatewayConfig,
  { config: one, authenticator }: CreatedAuthenticator,
  username: string,
  observer: ChainObserver,
) {
  // Issued tokens that are neither revoked nor expired; null where none are issued. `account`: see `accountState`, or `not found`.
  const found = (tokens: number | null, answer: Answer, reason = '', account: string | null = null) => {
    return { authenticator: one.name, tokens, reason, answer, account };
  };
  try {
    const issued = issuesTokens(one) ? await issuedTo(issuingOf(config, one), username, observer) : undefined;
    const tokens = issued?.tokens ?? null;
    if (!authenticator.lookUp && !issued) return found(null, 'cannot be looked up', 'only a token shows its user');
    const signal = AbortSignal.timeout(one.timeout);
    const trace = (step: string) => observer.onStep(one.name, step);
    // An authenticator that issues tokens and has no `lookUp` knows the users that have tokens.
    const user = authenticator.lookUp ? await authenticator.lookUp(username, { signal, trace }) : issued?.user;
    if (user === undefined) return found(tokens, 'not known', '', authenticator.revalidate ? 'not found' : null);
    const account = await accountState(authenticator, user, one.timeout);
    const named = identityPolicy(one, identityPrefixes(config.authenticators), config.provenance?.keyPrefix)(user);
    observer.onNames(one.name, user, named.user);
    if (named.violation) return found(tokens, 'refused by policy', named.violation.rule, account);
    return found(tokens, 'known', named.user.username, account);
  } catch (error) {
    return found(null, 'could not be checked', causeOf(error));
  }
}

/** Returns the reason for which a session that begins now would end; `good`: none. Null where sessions can't follow the backend. */
async function accountState(authenticator: Authenticator, { username, uid }: UserInfo, timeout: number) {
  if (authenticator.revalidate === undefined) return null;
  const context = { since: new Date(), signal: AbortSignal.timeout(timeout) };
  try {
    const decision = await authenticator.revalidate({ username, ...(uid !== undefined && { uid }) }, context);
    // The clock of a backend may be ahead: a password that was changed just now is good for a login.
    return decision.kind === 'rejected' && decision.reason !== 'password-changed' ? decision.reason : 'good';
  } catch (error) {
    return `could not be checked: ${causeOf(error)}`;
  }
}

/** Counts the valid tokens of a name, and joins the groups of their user. It reads one by one: there may be very many, of all users. */
async function issuedTo(issuing: Issuing, username: string, { onStep }: ChainObserver) {
  const counts = { valid: 0, revoked: 0, expired: 0, unreadable: 0 };
  const lists = new Set<string>();
  let first: UserInfo | undefined;
  await withIssuer(issuing, async (issuer) => {
    for await (const token of issuer.list({ username })) {
      if ('problem' in token) counts.unreadable++;
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
