import { durationText } from '@sallyport/plugin-kit';
import type { GatewayConfig } from '../../config/types.ts';
import { directoryCache } from '../../runtime/assemble-directory.ts';
import type { CommandContext } from '../context.ts';
import type { SeenToken } from '../issuer.ts';
import { commandLine } from '../printed-commands.ts';
import { type EntryOptions, nameSubject, type Prepared } from '../users/subject.ts';
import { candidatesFor, namingAuthenticators } from '../users/user-names.ts';

/** Says what the replicas that confirm do from then on. @param ended the tokens that are revoked */
export function effectText(
  context: CommandContext,
  config: Pick<GatewayConfig, 'authenticators'>,
  draft: Prepared['draft'],
  [first]: readonly SeenToken[],
  options: Pick<EntryOptions, 'config'>,
): string {
  if (draft.kind !== 'token' || first === undefined) {
    const forgotten = `Replicas forget what they have cached of ${nameSubject(draft)}, and ask the backend at the next review.\n`;
    return forgotten + directoryText(context, config, draft, options);
  }
  const what = first.session === undefined ? 'The token is revoked' : 'The session has ended';
  return `${what} for good. A replica that confirms this refuses it from the next review on.\n`;
}

/** Says how long a replica that does not learn of the revocation may accept what it has cached. */
export function lingeringText(config: CachingConfig, { kind, name }: Prepared['draft']): string {
  const { authenticators, cache: lifetimes } = config;
  const theirs = authenticators.filter(
    ({ username }) => kind !== 'user' || name.startsWith(username.prefix),
  );
  const own = theirs.flatMap(({ cache }) =>
    cache === 'off' ? [] : [{ ...cache, key: 'authenticatedTtl' }],
  );
  // A revocation of a token has no effect on what a directory says of its user.
  const asDirectories = kind === 'token' ? [] : theirs;
  const ofDirectories = authenticators.flatMap(({ directory }) =>
    asDirectories.flatMap((one) =>
      directory?.authenticator === one.name
        ? [{ ...directoryCache(one, directory.refresh, lifetimes), key: 'directory.refresh' }]
        : [],
    ),
  );
  const all = [...own, ...ofDirectories];
  const longest = all.toSorted((one, other) => other.authenticatedTtl - one.authenticatedTtl)[0];
  if (longest === undefined || longest.authenticatedTtl === 0)
    return 'This config caches nothing of it.\n';
  const { authenticatedTtl, key } = longest;
  const staleTtl = Math.max(...all.map((one) => one.staleTtl));
  const stale =
    staleTtl === 0
      ? ''
      : `, and ${durationText(staleTtl)} beyond while the backend is down (staleTtl)`;
  return `A replica may accept it from its cache for ${durationText(authenticatedTtl)} more (${key})${stale}.\n`;
}

type CachingConfig = Pick<GatewayConfig, 'authenticators' | 'cache'>;

/** Says what replicas keep of the directories of a user, and how they forget that. */
function directoryText(
  context: CommandContext,
  { authenticators }: Pick<GatewayConfig, 'authenticators'>,
  { kind, name }: Prepared['draft'],
  { config }: Pick<EntryOptions, 'config'>,
): string {
  if (kind !== 'user') return '';
  const names = authenticators.flatMap(({ username, directory }) =>
    directory && name.startsWith(username.prefix) ? [directory.authenticator] : [],
  );
  return [...new Set(names)]
    .map((directory) => {
      const prefix = authenticators.find((one) => one.name === directory)?.username.prefix ?? '';
      const command = commandLine(context, ['revoke', '--user', `${prefix}NAME`], config);
      return `They keep what ${directory} said of the account and its groups. To have them ask it again, by the name there: ${command}\n`;
    })
    .join('');
}

/**
 * Says what still lets the user in, and what would stop that.
 *
 * @param ended the tokens that are revoked
 * @param can says who can log in again. Undefined: it depends on the tokens alone
 */
export function advice(
  context: CommandContext,
  { config, draft, token }: Prepared,
  ended: readonly SeenToken[],
  options: EntryOptions,
  can?: string,
): string {
  const { kind, name } = draft;
  if (kind === 'all')
    return 'No token was revoked: anyone with a valid one, or with the right password, gets access again.\n';
  const session = ended.find((one) => one.session !== undefined);
  if (kind === 'token' && session !== undefined)
    return adviceOfSession(context, config, session.user.username, options);
  if (kind === 'token' && (token === undefined || ended.length > 0)) return '';
  const words =
    kind === 'user' ? ['--user', name, ...(options.exact ? ['--exact'] : [])] : ['--token'];
  const command = commandLine(context, ['block', ...words, '--for', '8h'], options.config);
  const again =
    session === undefined ? 'The backend decides who gets in again.' : 'The user can log in again.';
  return `${can ?? again} To refuse them whatever the backend says: ${command}\n`;
}

function adviceOfSession(
  context: CommandContext,
  config: GatewayConfig,
  name: string,
  options: EntryOptions,
): string {
  const isExact = candidatesFor('user', name, namingAuthenticators(config)) !== undefined;
  const line = (verb: string, ...more: readonly string[]) =>
    commandLine(
      context,
      [verb, '--user', name, ...more, ...(isExact ? ['--exact'] : [])],
      options.config,
    );
  return (
    `Other sessions of ${nameSubject({ kind: 'user', name })} continue, and the user can log in again.\n` +
    `To end all of them: ${line('revoke', '--authenticator', config.login?.sessions ?? '')}\n` +
    `To refuse the user whatever the directory says: ${line('block', '--for', '8h')}\n`
  );
}
