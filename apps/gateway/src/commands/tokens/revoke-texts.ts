import type { GatewayConfig } from '../../config/types.ts';
import type { SeenToken } from '../issuer.ts';
import { commandLine } from '../printed-commands.ts';
import { humanDuration } from '../times.ts';
import { type EntryOptions, nameSubject, type Prepared } from '../users/subject.ts';
import { candidatesFor, namingAuthenticators } from '../users/user-names.ts';

/** Says what the replicas that confirm do from then on. @param ended the tokens that are revoked */
export function effectText(draft: Prepared['draft'], [first]: readonly SeenToken[]): string {
  if (draft.kind !== 'token' || first === undefined) {
    return `Replicas forget what they have cached of ${nameSubject(draft)}, and ask the backend at the next review.\n`;
  }
  const what = first.session === undefined ? 'The token is revoked' : 'The session has ended';
  return `${what} for good. A replica that confirms this refuses it from the next review on.\n`;
}

/** Says how long a replica that does not learn of the revocation may accept what it has cached. */
export function lingeringText(
  { authenticators }: GatewayConfig,
  { kind, name }: Prepared['draft'],
): string {
  const theirs = authenticators.filter(
    ({ username }) => kind !== 'user' || name.startsWith(username.prefix),
  );
  const caches = theirs.flatMap(({ cache }) => (cache === 'off' ? [] : [cache]));
  const max = (key: 'authenticatedTtl' | 'staleTtl') =>
    Math.max(0, ...caches.map((cache) => cache[key]));
  const [authenticatedTtl, staleTtl] = [max('authenticatedTtl'), max('staleTtl')];
  if (authenticatedTtl === 0) return 'This config caches nothing of it.\n';
  const stale =
    staleTtl === 0
      ? ''
      : `, and ${humanDuration(staleTtl)} beyond while the backend is down (staleTtl)`;
  return `A replica may accept it from its cache for ${humanDuration(authenticatedTtl)} more (authenticatedTtl)${stale}.\n`;
}

/** Says what still lets the user in, and what would stop that. @param ended the tokens that are revoked */
export function advice(
  { config, draft, token }: Prepared,
  ended: readonly SeenToken[],
  options: EntryOptions,
): string {
  const { kind, name } = draft;
  if (kind === 'all')
    return 'No token was revoked: anyone with a valid one, or with the right password, gets access again.\n';
  const session = ended.find((one) => one.session !== undefined);
  if (kind === 'token' && session !== undefined)
    return adviceOfSession(config, session.user.username, options);
  if (kind === 'token' && (token === undefined || ended.length > 0)) return '';
  const words =
    kind === 'user' ? ['--user', name, ...(options.exact ? ['--exact'] : [])] : ['--token'];
  const command = commandLine(['block', ...words, '--for', '8h'], options.config);
  const again =
    session === undefined ? 'The backend decides who gets in again.' : 'The user can log in again.';
  return `${again} To refuse them whatever the backend says: ${command}\n`;
}

function adviceOfSession(config: GatewayConfig, name: string, options: EntryOptions): string {
  const isExact = candidatesFor('user', name, namingAuthenticators(config)) !== undefined;
  const line = (verb: string, ...more: readonly string[]) =>
    commandLine([verb, '--user', name, ...more, ...(isExact ? ['--exact'] : [])], options.config);
  return (
    `Other sessions of ${nameSubject({ kind: 'user', name })} continue, and the user can log in again.\n` +
    `To end all of them: ${line('revoke', '--authenticator', config.login?.sessions ?? '')}\n` +
    `To refuse the user whatever the directory says: ${line('block', '--for', '8h')}\n`
  );
}
