import type { RevokedToken } from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import type { GatewayConfig } from '../../config/types.ts';
import { shortDigest } from '../../engine/revocation/list.ts';
import { directoryCache } from '../../runtime/assemble-directory.ts';
import type { CommandContext } from '../context.ts';
import type { IssuerSetup, SeenToken } from '../issuer.ts';
import { commandLine } from '../printed-commands.ts';
import { roundedDuration, timeText } from '../times.ts';
import { type EntryOptions, nameSubject, type Prepared } from '../users/subject.ts';
import { candidatesFor, namingAuthenticators } from '../users/user-names.ts';
import type { Outcome } from './revoke-tokens.ts';

export function revokedLine(
  { token, already }: RevokedToken,
  { user }: SeenToken,
  now: Date,
): string {
  const { digest, issuedAt, issuedBy, revoked } = token;
  const byText = (operator: string | undefined) =>
    operator === undefined ? '' : ` by ${operator}`;
  const name = `${shortDigest(digest)}  ${user.username}`;
  if (already)
    return `${name}  was revoked already at ${timeText(revoked.at)}${byText(revoked.by)}`;
  if (issuedAt === undefined) return `revoked ${name}`;
  return `revoked ${name}  (issued ${roundedDuration(+now - +issuedAt)} ago${byText(issuedBy)})`;
}

export function lateText(count: number): string {
  return count === 1
    ? '1 more revoked: it was made while this command ran.\n'
    : `${count} more revoked: they were made while this command ran.\n`;
}

/** Whether the command is about sessions only. */
export function areSessions(
  { config: { login } }: Prepared,
  issuers: readonly IssuerSetup[],
): boolean {
  return (
    issuers.length > 0 &&
    issuers.every(({ authenticator }) => authenticator.name === login?.sessions)
  );
}

/** Counts what became of the tokens. @param onlySessions whether the command is about sessions only */
export function summaryText(
  { revoked, already, unreadable }: Outcome,
  onlySessions: boolean,
): string {
  const sessions = revoked.filter((token) => 'session' in token).length;
  const tokens = revoked.length - sessions;
  const counts = [
    (tokens > 0 || (sessions === 0 && !onlySessions)) &&
      `${tokens} ${tokens === 1 ? 'token' : 'tokens'} revoked`,
    (sessions > 0 || (tokens === 0 && onlySessions)) &&
      `${sessions} ${sessions === 1 ? 'session' : 'sessions'} revoked`,
    already.length > 0 && `${already.length} revoked already`,
    unreadable.length > 0 && `${unreadable.length} unreadable`,
  ];
  return `${counts.filter((count) => count !== false).join(', ')}.\n`;
}

/** Says that no issuer knows a token of the subject. */
export function unknownText(prepared: Prepared, issuers: readonly IssuerSetup[]): string {
  const { draft } = prepared;
  const names = issuers.map(({ authenticator }) => authenticator.name).join(', ');
  const noun = areSessions(prepared, issuers) ? 'session' : 'token';
  const subject = draft.kind === 'user' ? `${noun} of ${nameSubject(draft)}` : nameSubject(draft);
  if (names === '') return `no ${subject}: no authenticator of this config issues such tokens`;
  return `no ${subject} was issued by authenticator ${names}`;
}

/** Says what the replicas that confirm do from then on. @param tokens those that are revoked */
export function effectText(
  context: CommandContext,
  config: Pick<GatewayConfig, 'authenticators'>,
  draft: Prepared['draft'],
  [token]: readonly SeenToken[],
  options: Pick<EntryOptions, 'config'>,
): string {
  if (draft.kind !== 'token' || token === undefined) {
    const forgotten = `Replicas forget what they have cached of ${nameSubject(draft)}, and ask the backend at the next review.\n`;
    return forgotten + directoryText(context, config, draft, options);
  }
  const subject = token.session === undefined ? 'The token is revoked' : 'The session has ended';
  return `${subject} for good. A replica that confirms this refuses it from the next review on.\n`;
}

/** Says how long a replica that does not learn of the revocation may accept what it has cached. */
export function lingeringText(
  { authenticators, cache: defaults }: Pick<GatewayConfig, 'authenticators' | 'cache'>,
  { kind, name }: Prepared['draft'],
): string {
  const affected = authenticators.filter(
    ({ username }) => kind !== 'user' || name.startsWith(username.prefix),
  );
  const tokenCaches = affected.flatMap(({ cache }) =>
    cache === 'off' ? [] : [{ ...cache, key: 'authenticatedTtl' }],
  );
  // A revocation of a token has no effect on what a directory says of its user.
  const directories = kind === 'token' ? [] : affected;
  const directoryCaches = authenticators.flatMap(({ directory }) =>
    directories.flatMap((config) =>
      directory?.authenticator === config.name
        ? [{ ...directoryCache(config, directory.refresh, defaults), key: 'directory.refresh' }]
        : [],
    ),
  );
  const caches = [...tokenCaches, ...directoryCaches];
  const [longest] = caches.toSorted((a, b) => b.authenticatedTtl - a.authenticatedTtl);
  if (longest === undefined || longest.authenticatedTtl === 0)
    return 'This config caches nothing of it.\n';
  const { authenticatedTtl, key } = longest;
  const staleTtl = Math.max(...caches.map((cache) => cache.staleTtl));
  const stale =
    staleTtl === 0
      ? ''
      : `, and ${durationText(staleTtl)} beyond while the backend is down (staleTtl)`;
  return `A replica may accept it from its cache for ${durationText(authenticatedTtl)} more (${key})${stale}.\n`;
}

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
      const prefix = authenticators.find((a) => a.name === directory)?.username.prefix ?? '';
      const command = commandLine(context, ['revoke', '--user', `${prefix}NAME`], config);
      return `They keep what ${directory} said of the account and its groups. To have them ask it again, by the name there: ${command}\n`;
    })
    .join('');
}

/**
 * Says what still lets the user in, and what would stop that.
 *
 * @param tokens those that are revoked
 * @param nextLogin says who can log in again. Undefined: it depends on the tokens alone
 */
export function adviceText(
  context: CommandContext,
  { config, draft, token }: Prepared,
  tokens: readonly SeenToken[],
  options: EntryOptions,
  nextLogin?: string,
): string {
  const { kind, name } = draft;
  if (kind === 'all')
    return 'No token was revoked: anyone with a valid one, or with the right password, gets access again.\n';
  const ended = tokens.find(({ session }) => session !== undefined);
  if (kind === 'token' && ended !== undefined)
    return sessionAdvice(context, config, ended.user.username, options);
  if (kind === 'token' && (token === undefined || tokens.length > 0)) return '';
  const args =
    kind === 'user' ? ['--user', name, ...(options.exact ? ['--exact'] : [])] : ['--token'];
  const command = commandLine(context, ['block', ...args, '--for', '8h'], options.config);
  const nextAccess =
    nextLogin ??
    (ended === undefined ? 'The backend decides who gets in again.' : 'The user can log in again.');
  return `${nextAccess} To refuse them whatever the backend says: ${command}\n`;
}

function sessionAdvice(
  context: CommandContext,
  config: GatewayConfig,
  name: string,
  options: EntryOptions,
): string {
  const isExact = candidatesFor('user', name, namingAuthenticators(config)) !== undefined;
  const line = (verb: string, ...args: readonly string[]) =>
    commandLine(
      context,
      [verb, '--user', name, ...args, ...(isExact ? ['--exact'] : [])],
      options.config,
    );
  return (
    `Other sessions of ${nameSubject({ kind: 'user', name })} continue, and the user can log in again.\n` +
    `To end all of them: ${line('revoke', '--authenticator', config.login?.sessions ?? '')}\n` +
    `To refuse the user whatever the directory says: ${line('block', '--for', '8h')}\n`
  );
}
