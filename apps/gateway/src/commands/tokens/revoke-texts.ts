import type { RevokedToken, UnreadableToken } from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import { printable } from '../../base/logging/printable.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { type Entry, shortDigest } from '../../engine/revocation/list.ts';
import { directoryCache } from '../../runtime/assemble-directory.ts';
import type { CommandContext } from '../context.ts';
import type { IssuerSetup, SeenToken } from '../issuer.ts';
import { commandLine, userWords } from '../printed-commands.ts';
import { momentText, roundedDuration, timeText } from '../times.ts';
import { type EntryPlan, nameSubject } from '../users/subject.ts';
import { candidatesFor, namingAuthenticators } from '../users/user-names.ts';
import type { Outcome } from './revoke-outcome.ts';

type Draft = EntryPlan['draft'];

export function revokedLine({ token, already }: RevokedToken, { user }: SeenToken, now: Date) {
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
  { config: { login } }: EntryPlan,
  issuers: readonly IssuerSetup[],
): boolean {
  return (
    issuers.length > 0 &&
    issuers.every(({ authenticator }) => authenticator.name === login?.sessions)
  );
}

export function unreadableText({ digest, problem }: UnreadableToken, kind: Draft['kind']): string {
  // Such a record may name any user.
  const effect = kind === 'user' ? 'so it may be theirs' : 'so it authenticates no one as it is';
  return `${shortDigest(digest)} was not revoked: its record is unreadable, ${effect}: ${printable(problem)}`;
}

export function unconfirmedText(authenticator: string, count: number): string {
  const subject = count === 1 ? 'it' : `${count} of them`;
  return `no replica of the store of authenticator ${authenticator} has confirmed ${subject}: a failover now can undo the revocation`;
}

/** Counts what became of the tokens. @param onlySessions whether the command is about sessions only */
export function summaryText({ revoked, already, unreadable }: Outcome, onlySessions: boolean) {
  const sessions = revoked.filter((token) => 'session' in token).length;
  const tokens = revoked.length - sessions;
  const countText = (count: number, noun: string) =>
    `${count} ${noun}${count === 1 ? '' : 's'} revoked`;
  const counts = [
    ...(tokens > 0 || (sessions === 0 && !onlySessions) ? [countText(tokens, 'token')] : []),
    ...(sessions > 0 || (tokens === 0 && onlySessions) ? [countText(sessions, 'session')] : []),
    ...(already.length > 0 ? [`${already.length} revoked already`] : []),
    ...(unreadable.length > 0 ? [`${unreadable.length} unreadable`] : []),
  ];
  return `${counts.join(', ')}.\n`;
}

/** Says that no issuer knows a token of the subject. */
export function unknownText(plan: EntryPlan, issuers: readonly IssuerSetup[]): string {
  const { draft } = plan;
  const names = issuers.map(({ authenticator }) => authenticator.name).join(', ');
  const noun = areSessions(plan, issuers) ? 'session' : 'token';
  const subject = draft.kind === 'user' ? `${noun} of ${nameSubject(draft)}` : nameSubject(draft);
  if (names === '') return `no ${subject}: no authenticator of this config issues such tokens`;
  return `no ${subject} was issued by authenticator ${names}`;
}

/** Says what the replicas that confirm do from then on. @param tokens those that are revoked */
export function effectText(
  context: CommandContext,
  { authenticators }: Pick<GatewayConfig, 'authenticators'>,
  draft: Draft,
  [token]: readonly SeenToken[],
): string {
  const { kind, name } = draft;
  if (kind === 'token' && token !== undefined) {
    const subject = token.session === undefined ? 'The token is revoked' : 'The session has ended';
    return `${subject} for good. A replica that confirms this refuses it from the next review on.\n`;
  }
  const directories = authenticators.flatMap(({ username, directory }) =>
    kind === 'user' && directory && name.startsWith(username.prefix)
      ? [directory.authenticator]
      : [],
  );
  const lines = [...new Set(directories)].map((directory) => {
    const prefix = authenticators.find((a) => a.name === directory)?.username.prefix ?? '';
    const command = commandLine(context, ['revoke', '--user', `${prefix}NAME`]);
    return `They keep what ${directory} said of the account and its groups. To have them ask it again, by the name there: ${command}\n`;
  });
  return `Replicas forget what they have cached of ${nameSubject(draft)}, and ask the backend at the next review.\n${lines.join('')}`;
}

/** Says how long a replica that does not learn of the revocation may accept what it has cached. */
export function lingeringText(
  { authenticators, cache: defaults }: Pick<GatewayConfig, 'authenticators' | 'cache'>,
  { kind, name }: Draft,
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
  const staleTtl = Math.max(...caches.map((cache) => cache.staleTtl));
  const accepts = `A replica may accept what it has cached for ${durationText(longest.authenticatedTtl)} more (${longest.key})`;
  return staleTtl === 0
    ? `${accepts}.\n`
    : `${accepts}, and ${durationText(staleTtl)} beyond while the backend is down (staleTtl).\n`;
}

/**
 * Says what still lets the user in, and what would stop that.
 *
 * @param tokens those that are revoked
 * @param nextLogin says who can log in again. Undefined: it depends on the tokens alone
 */
export function adviceText(
  context: CommandContext,
  { config, draft: { kind, name }, token }: EntryPlan,
  tokens: readonly SeenToken[],
  isExact = false,
  nextLogin?: string,
): string {
  if (kind === 'all')
    return 'No token was revoked: anyone with a valid one, or with the right password, gets access again.\n';
  const ended = tokens.find(({ session }) => session !== undefined);
  if (kind === 'token' && ended) return sessionAdvice(context, config, ended.user.username);
  if (kind === 'token' && (token === undefined || tokens.length > 0)) return '';
  const args = kind === 'user' ? userWords(name, isExact) : ['--token'];
  const access = ended ? 'The user can log in again.' : 'The backend decides who gets in again.';
  return `${nextLogin ?? access} To refuse them whatever the backend says: ${commandLine(context, ['block', ...args, '--for', '8h'])}\n`;
}

/** Says that the subject of a revocation stays blocked. */
export function blockedText(block: Entry): string {
  return `The block of ${nameSubject(block)} stays in force until ${momentText(block.until)}.\n`;
}

function sessionAdvice(context: CommandContext, config: GatewayConfig, name: string): string {
  const isExact = candidatesFor('user', name, namingAuthenticators(config)) !== undefined;
  const exactArgs = isExact ? ['--exact'] : [];
  const user = ['--user', name] as const;
  const sessions = config.login?.sessions ?? '';
  return (
    `Other sessions of ${nameSubject({ kind: 'user', name })} continue, and the user can log in again.\n` +
    `To end all of them: ${commandLine(context, ['revoke', ...user, '--authenticator', sessions, ...exactArgs])}\n` +
    `To refuse the user whatever the directory says: ${commandLine(context, ['block', ...user, '--for', '8h', ...exactArgs])}\n`
  );
}
