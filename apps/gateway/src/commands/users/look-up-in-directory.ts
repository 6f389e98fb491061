import { AuthenticatorError, type UserInfo } from '@sallyport/authenticator';
import { pino } from 'pino';
import { asError } from '../../base/logging/error-fields.ts';
import type { AuthenticatorConfig, DirectoryConfig, GatewayConfig } from '../../config/types.ts';
import type { ChainObserver } from '../../engine/chain/chain.ts';
import { createIdentityPolicy } from '../../engine/chain/identity-policy.ts';
import { findInDirectory } from '../../engine/directory/directory-user.ts';
import { addDirectoryName, joinName } from '../../engine/directory/with-directory.ts';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { askEach } from '../connections.ts';
import { type LookedUp, unavailable } from './looked-up.ts';

/** An InDirectory is what a directory says of the user of a token. */
export type InDirectory = Pick<
  LookedUp,
  'answer' | 'reason' | 'account' | 'isOfUser' | 'directory'
>;

/** An authenticator with `directory`. */
interface Joined extends AuthenticatorConfig {
  readonly directory: DirectoryConfig;
}

/**
 * Looks up a user of an authenticator whose tokens alone name its users. Its directory may know the user all the same.
 *
 * @param username without the prefix of gateway.yaml
 */
export async function lookUpNamedByTokens(
  config: GatewayConfig,
  one: AuthenticatorConfig,
  username: string,
  observer: ChainObserver,
): Promise<InDirectory> {
  const { name, directory } = one;
  const unknown = { answer: "can't be looked up", account: null } as const;
  if (directory === undefined) return { ...unknown, reason: 'only a token shows its user' };
  const { by, groups, authenticator: where } = directory;
  if (by !== 'username') {
    const what = by === 'uid' ? by : `extra ${by.extra}`;
    const reason = `only a token shows its user's ${what}, by which ${where} finds them`;
    return { ...unknown, reason };
  }
  const { violation } = createIdentityPolicy(config, one)({ username });
  if (violation) return { ...unknown, answer: 'refused by policy', reason: violation.rule };
  const found = await lookUpInDirectory(config, { ...one, directory }, { username }, observer);
  if (groups !== 'replace')
    observer.onStep(name, `only a token shows the groups that ${name} itself gives`);
  return found;
}

/**
 * Looks the user of a token up in the directory of its authenticator, as the gateway does. It never throws.
 *
 * @param user as the authenticator names them, without the prefix of gateway.yaml
 */
export async function lookUpInDirectory(
  config: GatewayConfig,
  one: Joined,
  user: UserInfo,
  observer: ChainObserver,
): Promise<InDirectory> {
  const { authenticator: directory } = one.directory;
  const authenticators = config.authenticators.filter(({ name }) => name === directory);
  const failed = (reason: string): InDirectory => {
    return { directory, answer: unavailable, reason, account: null };
  };
  const ask = async (created: CreatedAuthenticator): Promise<InDirectory> => {
    try {
      return await find(config, one, created, user, observer);
    } catch (error) {
      const isOfUser = AuthenticatorError.is(error) && error.code === 'failed';
      return { ...failed(asError(error).message), isOfUser };
    }
  };
  const logger = pino({ level: 'silent' });
  const unmade = (_one: AuthenticatorConfig, problem: string) => failed(problem);
  const [found] = await askEach({ ...config, authenticators }, logger, ask, unmade);
  return found ?? failed(`${directory} is not in the config`);
}

async function find(
  config: GatewayConfig,
  { name: authenticator, username, directory: settings }: Joined,
  { config: its, authenticator: plugin }: CreatedAuthenticator,
  user: UserInfo,
  { onStep, onNames }: ChainObserver,
): Promise<InDirectory> {
  const directory = its.name;
  const trace = (step: string) => onStep(authenticator, step);
  const name = joinName(user, settings.by, '');
  trace(`the user is looked up in ${directory} as ${JSON.stringify(name)}`);
  const context = { audiences: [], signal: AbortSignal.timeout(its.timeout), trace };
  const found = await findInDirectory(plugin, name, context).catch((error: unknown) => {
    throw addDirectoryName(error, directory, name);
  });
  const known = { directory, answer: 'known', reason: username.prefix + user.username } as const;
  const isMissing = found.kind === 'rejected' && found.reason === 'unknown-user';
  if (isMissing) return { directory, answer: 'not known', reason: '', account: 'not found' };
  if (found.kind === 'no-opinion') {
    const isAccepted = settings.missing === 'accept';
    const answer = isAccepted ? "can't be looked up" : 'not known';
    const reason = isAccepted
      ? `only a token shows its user, whom ${directory} does not know (directory.missing is accept)`
      : '';
    return { directory, answer, reason, account: 'not found' };
  }
  if (found.kind === 'rejected') return { ...known, account: found.reason };
  const named = createIdentityPolicy(config, its)(found.user);
  onNames(authenticator, found.user, named.user, directory);
  const account = 'good';
  return named.violation
    ? { directory, answer: 'refused by policy', reason: named.violation.rule, account }
    : { ...known, account };
}
