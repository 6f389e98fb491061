import type { UserInfo } from '@sallyport/authenticator';
import type { AuthenticatorConfig, DirectoryConfig, GatewayConfig } from '../../config/types.ts';
import type { ChainObserver } from '../../engine/chain/chain.ts';
import { createIdentityPolicy } from '../../engine/chain/identity-policy.ts';
import { findInDirectory } from '../../engine/directory/directory-user.ts';
import { addDirectoryName, joinName } from '../../engine/directory/with-directory.ts';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { askEachInTime } from './ask-authenticators.ts';
import { type LookUpRow, unavailable } from './look-up-row.ts';

/** What a directory says of the user of a token. */
export type DirectoryRow = Pick<
  LookUpRow,
  'answer' | 'reason' | 'account' | 'isOfUser' | 'directory'
>;

/** An authenticator with `directory`. */
interface JoinedAuthenticator extends AuthenticatorConfig {
  readonly directory: DirectoryConfig;
}

/**
 * Looks up a user of an authenticator whose tokens alone name its users. Its directory may know the user all the same.
 *
 * @param username without the prefix of gateway.yaml
 */
export async function lookUpByDirectory(
  config: GatewayConfig,
  authenticator: AuthenticatorConfig,
  username: string,
  observer: ChainObserver,
  limit: number,
): Promise<DirectoryRow> {
  const { name, directory } = authenticator;
  const unknownRow = { answer: "can't be looked up", account: null } as const;
  if (directory === undefined) return { ...unknownRow, reason: 'only a token shows its user' };
  const { by: lookUpKey, groups, authenticator: directoryName } = directory;
  if (lookUpKey !== 'username') {
    const key = lookUpKey === 'uid' ? lookUpKey : `extra ${lookUpKey.extra}`;
    const reason = `only a token shows its user's ${key}, by which ${directoryName} finds them`;
    return { ...unknownRow, reason };
  }
  const { violation } = createIdentityPolicy(config, authenticator)({ username });
  if (violation) return { ...unknownRow, answer: 'refused by policy', reason: violation.rule };
  const joinedAuthenticator = { ...authenticator, directory };
  const row = await lookUpInDirectory(config, joinedAuthenticator, { username }, observer, limit);
  if (groups !== 'replace')
    observer.onStep(name, `only a token shows the groups that ${name} itself gives`);
  return row;
}

/**
 * Looks the user of a token up in the directory of its authenticator, as the gateway does. It never throws.
 *
 * @param user as the authenticator names them, without the prefix of gateway.yaml
 */
export async function lookUpInDirectory(
  config: GatewayConfig,
  authenticator: JoinedAuthenticator,
  user: UserInfo,
  observer: ChainObserver,
  limit: number,
): Promise<DirectoryRow> {
  const { authenticator: directory } = authenticator.directory;
  const [row] = await askEachInTime<DirectoryRow>(
    config,
    config.authenticators.filter(({ name }) => name === directory),
    limit,
    (created, signal) => find(config, authenticator, created, user, observer, signal),
    (_directory, failure) => ({ directory, answer: unavailable, account: null, ...failure }),
  );
  const reason = `${directory} is not in the config`;
  return row ?? { directory, answer: unavailable, reason, account: null };
}

async function find(
  config: GatewayConfig,
  { name: authenticator, username, directory: settings }: JoinedAuthenticator,
  { config: directoryConfig, authenticator: plugin }: CreatedAuthenticator,
  user: UserInfo,
  { onStep, onNames }: ChainObserver,
  signal: AbortSignal,
): Promise<DirectoryRow> {
  const directory = directoryConfig.name;
  const trace = (step: string) => onStep(authenticator, step);
  const name = joinName(user, settings.by, '');
  trace(`the user is looked up in ${directory} as ${JSON.stringify(name)}`);
  const context = { audiences: [], signal, trace };
  const decision = await findInDirectory(plugin, name, context).catch((error: unknown) => {
    throw addDirectoryName(error, directory, name);
  });
  const knownRow = { directory, answer: 'known', reason: username.prefix + user.username } as const;
  const isMissing = decision.kind === 'rejected' && decision.reason === 'unknown-user';
  if (isMissing) return { directory, answer: 'not known', reason: '', account: 'not found' };
  if (decision.kind === 'no-opinion') {
    const isAccepted = settings.missing === 'accept';
    const answer = isAccepted ? "can't be looked up" : 'not known';
    const reason = isAccepted
      ? `only a token shows its user, whom ${directory} does not know (directory.missing is accept)`
      : '';
    return { directory, answer, reason, account: 'not found' };
  }
  if (decision.kind === 'rejected') return { ...knownRow, account: decision.reason };
  const { user: kubernetesUser, violation } = createIdentityPolicy(
    config,
    directoryConfig,
  )(decision.user);
  onNames(authenticator, decision.user, kubernetesUser, directory);
  const account = 'good';
  return violation
    ? { directory, answer: 'refused by policy', reason: violation.rule, account }
    : { ...knownRow, account };
}
