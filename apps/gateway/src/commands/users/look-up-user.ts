import { type Authenticator, AuthenticatorError, type UserInfo } from '@sallyport/authenticator';
import { causeOf } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import type { ChainObserver } from '../../engine/chain/chain.ts';
import { createIdentityPolicy } from '../../engine/chain/identity-policy.ts';
import { type CreatedAuthenticator, issuesTokens } from '../../runtime/authenticators.ts';
import type { CommandContext } from '../context.ts';
import { type IssuerSetup, setUpIssuer, withIssuer } from '../issuer.ts';
import {
  type InDirectory,
  lookUpInDirectory,
  lookUpNamedByTokens,
} from './look-up-in-directory.ts';
import { type LookedUp, unavailable } from './looked-up.ts';

/** Asks one authenticator about a user, without a token. It never throws. @param username without the prefix of gateway.yaml */
export async function lookUpUser(
  context: CommandContext,
  config: GatewayConfig,
  { config: one, authenticator }: CreatedAuthenticator,
  username: string,
  observer: ChainObserver,
): Promise<LookedUp> {
  const isNotForLogins =
    authenticator.loginToken !== undefined &&
    config.login?.authenticators.includes(one.name) === false;
  const all = { authenticator: one.name, isNotForLogins };
  const unknown = { ...all, reason: '', tokens: null, account: null };
  try {
    const issued = issuesTokens(one)
      ? await issuedTo(context, setUpIssuer(context, config, one), username, observer)
      : undefined;
    const tokens = issued?.digests.length ?? null;
    if (!authenticator.lookUp && !issued) {
      return { ...unknown, ...(await lookUpNamedByTokens(config, one, username, observer)) };
    }
    const signal = AbortSignal.timeout(one.timeout);
    const trace = (step: string) => observer.onStep(one.name, step);
    const found = { ...all, tokens, issued };
    // An authenticator that issues tokens and has no `lookUp` knows the users that have tokens.
    const user = authenticator.lookUp
      ? await lookUpByName(context, authenticator, username, { signal, trace })
      : issued?.user;
    if (user === undefined) {
      // The groups of tokens that have ended count no more.
      const hadTokens = issued !== undefined && issued.revoked + issued.expired > 0;
      if (hadTokens)
        return { ...found, answer: 'known', reason: one.username.prefix + username, account: null };
      return {
        ...found,
        answer: 'not known',
        reason: '',
        account: authenticator.revalidate ? 'not found' : null,
      };
    }
    const account = await accountState(context, authenticator, user, one.timeout);
    const named = createIdentityPolicy(config, one)(user);
    observer.onNames(one.name, user, named.user);
    if (named.violation)
      return { ...found, answer: 'refused by policy', reason: named.violation.rule, account };
    const known = { ...found, answer: 'known', reason: named.user.username, account } as const;
    const { directory } = one;
    if (directory === undefined) return known;
    return inBoth(known, await lookUpInDirectory(config, { ...one, directory }, user, observer));
  } catch (error) {
    const isOfUser = AuthenticatorError.is(error) && error.code === 'failed';
    return { ...unknown, answer: unavailable, reason: causeOf(error), isOfUser };
  }
}

/** Joins what the authenticator and its directory say of a user: a token needs both. */
function inBoth(own: LookedUp, there: InDirectory): LookedUp {
  if (there.answer === unavailable || there.answer === 'refused by policy')
    return { ...own, ...there };
  const { directory, account } = there;
  return own.account === null || own.account === 'good' ? { ...own, directory, account } : own;
}

/**
 * Looks up a user by the name in Kubernetes, or by a login name. If one user has it as a name and another one logs in by it, it is the
 * first one: otherwise whoever may edit their mail address could pass for another user here.
 *
 * @throws unknown what `lookUp` and `revalidate` throw
 */
export async function lookUpByName(
  context: CommandContext,
  authenticator: Pick<Authenticator, 'lookUp' | 'revalidate'>,
  username: string,
  call: Parameters<NonNullable<Authenticator['lookUp']>>[1],
): Promise<UserInfo | undefined> {
  const user = await authenticator.lookUp?.(username, call);
  if (user === undefined || user.username === username) return user;
  const own = await authenticator.revalidate?.(
    { username },
    { ...call, since: new Date(context.now()) },
  );
  if (own?.kind === 'authenticated') return own.user;
  return own?.kind === 'rejected' && own.reason !== 'unknown-user' ? { username } : user;
}

/** Returns why a session that begins now would end, or `good` if it would not. Null: sessions can't follow this backend. */
async function accountState(
  context: CommandContext,
  authenticator: Authenticator,
  { username, uid }: UserInfo,
  timeout: number,
) {
  if (authenticator.revalidate === undefined) return null;
  const call = { since: new Date(context.now()), signal: AbortSignal.timeout(timeout) };
  try {
    const decision = await authenticator.revalidate(
      { username, ...(uid !== undefined && { uid }) },
      call,
    );
    // The clock of a backend may be ahead: a password that was changed just now is valid for a login.
    return decision.kind === 'rejected' && decision.reason !== 'password-changed'
      ? decision.reason
      : 'good';
  } catch (error) {
    return `${unavailable}: ${causeOf(error)}`;
  }
}

/** Counts the tokens of a name, and joins the groups of the valid ones. It reads one by one: there may be very many, of all users. */
async function issuedTo(
  context: CommandContext,
  issuing: IssuerSetup,
  username: string,
  { onStep }: ChainObserver,
) {
  const counts = { revoked: 0, expired: 0, unreadable: 0 };
  const digests: string[] = [];
  const lists = new Set<string>();
  let first: UserInfo | undefined;
  await withIssuer(context, issuing, async (issuer) => {
    for await (const token of issuer.list({ username })) {
      if ('problem' in token) counts.unreadable++;
      else if (token.revoked) counts.revoked++;
      else if (token.expiresAt && token.expiresAt.getTime() <= context.now()) counts.expired++;
      else {
        digests.push(token.digest);
        first ??= token.user;
        lists.add(JSON.stringify([...(token.user.groups ?? [])].sort()));
      }
    }
  });
  const { revoked, expired, unreadable } = counts;
  const { name } = issuing.authenticator;
  onStep(
    name,
    `tokens issued to this name: ${digests.length} valid, ${revoked} revoked, ${expired} expired`,
  );
  if (lists.size > 1)
    onStep(name, 'the tokens have different groups: each token gives only its own');
  if (unreadable > 0) onStep(name, `records that can't be read, of whichever user: ${unreadable}`);
  const groups = [
    ...new Set([...lists].flatMap((list): readonly string[] => JSON.parse(list))),
  ].sort();
  return { revoked, expired, digests, user: first && { ...first, groups } };
}
