import type { Authenticator, UserInfo } from '@sallyport/authenticator';
import type { AuthenticatorConfig, GatewayConfig } from '../../config/types.ts';
import type { ChainObserver } from '../../engine/chain/chain.ts';
import { createIdentityPolicy } from '../../engine/chain/identity-policy.ts';
import { type CreatedAuthenticator, issuesTokens } from '../../runtime/authenticators.ts';
import type { CommandContext } from '../context.ts';
import { askInTime, describeFailure, lookUpLimit } from './ask-authenticators.ts';
import { findByName } from './find-by-name.ts';
import { readIssuedTokens } from './issued-to-user.ts';
import { type DirectoryRow, lookUpByDirectory, lookUpInDirectory } from './look-up-in-directory.ts';
import { type LookUpRow, unavailable } from './look-up-row.ts';

/**
 * Asks one authenticator about a user, without a token: the issuer of its tokens, its backend, and its directory. It never throws.
 *
 * @param username without the prefix of gateway.yaml
 * @param limit of each question to a backend. Issued tokens may be very many, so they have no limit here
 */
export async function lookUpUser(
  context: CommandContext,
  config: GatewayConfig,
  { config: authenticator, authenticator: plugin }: CreatedAuthenticator,
  username: string,
  observer: ChainObserver,
  limit = lookUpLimit(),
): Promise<LookUpRow> {
  const { name, directory } = authenticator;
  const isNotForLogins =
    plugin.loginToken !== undefined && config.login?.authenticators.includes(name) === false;
  const row = { authenticator: name, isNotForLogins, reason: '', tokens: null, account: null };
  try {
    const issued = issuesTokens(authenticator)
      ? await readIssuedTokens(context, config, authenticator, username, observer)
      : undefined;
    const isAsked =
      plugin.lookUp !== undefined ||
      (plugin.revalidate !== undefined && issued === undefined && directory === undefined);
    if (!isAsked && issued === undefined) {
      const answer = await lookUpByDirectory(config, authenticator, username, observer, limit);
      return { ...row, ...answer };
    }
    const rowWithTokens = { ...row, tokens: issued?.digests.length ?? null, issued };
    // An authenticator that issues tokens and has no `lookUp` knows the users that have tokens.
    const user = isAsked
      ? await askForUser(context, authenticator, plugin, username, observer, limit)
      : issued?.user;
    if (user === undefined) {
      // The groups of tokens that have ended count no more.
      if (issued !== undefined && issued.revoked + issued.expired > 0) {
        const reason = authenticator.username.prefix + username;
        return { ...rowWithTokens, answer: 'known', reason };
      }
      const account = plugin.revalidate ? 'not found' : null;
      return { ...rowWithTokens, answer: 'not known', account };
    }
    const account = await readAccountState(context, authenticator, plugin, user, limit);
    const { user: kubernetesUser, violation } = createIdentityPolicy(config, authenticator)(user);
    observer.onNames(name, user, kubernetesUser);
    if (violation)
      return { ...rowWithTokens, answer: 'refused by policy', reason: violation.rule, account };
    const reason = kubernetesUser.username;
    const knownRow = { ...rowWithTokens, answer: 'known', reason, account } as const;
    if (directory === undefined) return knownRow;
    const joinedAuthenticator = { ...authenticator, directory };
    const answer = await lookUpInDirectory(config, joinedAuthenticator, user, observer, limit);
    return joinRows(knownRow, answer);
  } catch (error) {
    return { ...row, answer: unavailable, ...describeFailure(authenticator, error) };
  }
}

/** Asks the backend. A refused user has no more than the name. */
async function askForUser(
  context: CommandContext,
  { name }: AuthenticatorConfig,
  plugin: Authenticator,
  username: string,
  { onStep }: ChainObserver,
  limit: number,
): Promise<UserInfo | undefined> {
  const trace = (step: string) => onStep(name, step);
  const match = await askInTime(limit, (signal) =>
    findByName(context, plugin, username, { signal, trace }),
  );
  if (match.kind === 'refused') return { username };
  return match.kind === 'found' ? match.user : undefined;
}

/** Joins what the authenticator and its directory say of a user: a token needs both. */
function joinRows(row: LookUpRow, directoryRow: DirectoryRow): LookUpRow {
  const { answer, directory, account } = directoryRow;
  if (answer === unavailable || answer === 'refused by policy') return { ...row, ...directoryRow };
  return row.account === null || row.account === 'good' ? { ...row, directory, account } : row;
}

/** Returns the `account` of a row. */
async function readAccountState(
  context: CommandContext,
  authenticator: AuthenticatorConfig,
  plugin: Authenticator,
  { username, uid }: UserInfo,
  limit: number,
): Promise<string | null> {
  if (plugin.revalidate === undefined) return null;
  const user = { username, ...(uid !== undefined && { uid }) };
  const since = new Date(context.now());
  try {
    const decision = await askInTime(limit, async (signal) =>
      plugin.revalidate?.(user, { since, signal }),
    );
    // The clock of a backend may be ahead: a password that was changed just now is valid for a login.
    return decision?.kind === 'rejected' && decision.reason !== 'password-changed'
      ? decision.reason
      : 'good';
  } catch (error) {
    return `${unavailable}: ${describeFailure(authenticator, error).reason}`;
  }
}
