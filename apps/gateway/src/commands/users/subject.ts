import { pino } from 'pino';
import { printable } from '../../base/logging/printable.ts';
import { describeCauses, FixableError } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { shortenId } from '../../engine/chain/decision.ts';
import { digestToken, type Entry, shortDigest } from '../../engine/revocation/list.ts';
import type { Draft } from '../../engine/revocation/publish.ts';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { loadNamedConfig } from '../config-file.ts';
import { needCacheRedis, withAuthenticators } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import type { ReadOptions } from '../options.ts';
import { printRemark, UsageError } from '../output.ts';
import { commandLine } from '../printed-commands.ts';
import { findWrapping, readToken } from '../read-token.ts';
import { requirePrefix } from './user-names.ts';

export type SubjectOptions = Partial<
  Record<'user' | 'group' | 'digest' | 'jti' | 'sid', string> & Record<'token' | 'all', boolean>
>;

/** The options of every command that writes to the revocation list. */
export interface EntryOptions extends SubjectOptions, ReadOptions {
  /** True: the name is used as it is, although it begins with no prefix of the config. */
  readonly exact?: boolean;
  readonly authenticator?: string;
  readonly reason?: string;
  readonly by: string;
  /** Milliseconds. */
  readonly wait: number;
  /** See `ConfirmationWait.expect`. */
  readonly expect?: number;
}

/** With `--digest`, the name has the digits that were typed. */
export type EntryPlan = Awaited<ReturnType<typeof planEntry>>;

/** @throws UsageError, ConfigError, Error when the config has no cache.redis and the command can do nothing without it */
export async function planEntry(
  context: CommandContext,
  options: EntryOptions,
  action: Entry['action'],
  kinds: readonly SubjectKind[],
) {
  const kind = subjectKind(options, action, kinds);
  const config = await loadNamedConfig(context, options);
  if (action !== 'revoke' || kind === 'all') needCacheRedis(config, action);
  if (kind === 'user' || kind === 'group')
    await requirePrefix(context, config, kind, options[kind] ?? '', options);
  const { token, ...subject } = await readSubject(context, options, kind);
  // `unblock` takes any token: it must be possible to end every block.
  if (token !== undefined && (action === 'block' || action === 'revoke')) {
    await refusePasswordToken(context, config, token, action);
  }
  const { reason, by: author } = options;
  const draft: Omit<Draft, 'until'> = { action, ...subject, by: author, ...(reason && { reason }) };
  return { config, draft, token };
}

const subjectFlags = {
  user: '--user NAME',
  group: '--group NAME',
  token: '--token (which is read from standard input)',
  digest: '--digest DIGITS',
  jti: '--jti ID',
  sid: '--sid ID',
  all: '--all',
} as const;

type SubjectKind = keyof typeof subjectFlags;

/** @param kinds what the command `verb` takes. @throws UsageError unless exactly one of these is given */
export function subjectKind(
  options: SubjectOptions,
  verb: string,
  kinds: readonly SubjectKind[],
): SubjectKind {
  const [kind, ...furtherKinds] = (Object.keys(subjectFlags) as SubjectKind[]).filter(
    (kindName) => options[kindName],
  );
  if (kind !== undefined && furtherKinds.length === 0) return kind;
  const flags = [kind, ...furtherKinds].map((kindName) => `--${kindName}`);
  throw new UsageError(
    kind === undefined
      ? `it is not clear what to ${verb}`
      : `${flags.join(' and ')} are given, and ${verb} takes one of them`,
    `write exactly one of: ${kinds.map((kindName) => subjectFlags[kindName]).join(', ')}`,
  );
}

type Subject = Pick<Entry, 'kind' | 'name'>;

/** Reads the token, where one is meant, before any connection is opened that would have to wait for it. @throws UsageError */
export async function readSubject(
  context: CommandContext,
  options: SubjectOptions,
  kind: SubjectKind,
): Promise<Subject & { token?: string }> {
  if (kind === 'all') return { kind, name: '' };
  if (kind === 'token') {
    const token = await readToken(context);
    const wrapping = findWrapping(token);
    if (wrapping !== undefined)
      throw new UsageError(`nothing was done: the token ${wrapping.problem}`, wrapping.fix);
    return { kind, name: digestToken(token), token };
  }
  const name = options[kind] ?? '';
  if (name.trim() !== name) {
    printRemark(
      context,
      `--${kind} begins or ends with a blank, so most likely nothing has this name`,
      'if the blank was copied by mistake, run the command again without it',
    );
  }
  if (kind === 'digest') return { kind: 'token', name };
  return kind === 'jti' || kind === 'sid' ? readId(context, kind, name) : { kind, name };
}

function readId(context: CommandContext, kind: 'jti' | 'sid', id: string): Subject {
  const name = shortenId(id);
  if (name !== id) {
    const fix = `if it is a whole token, use --token instead of --${kind}`;
    printRemark(context, `--${kind} is very long: is it a whole token? The command continues`, fix);
  }
  if (kind === 'jti' && id.startsWith('X509SHA256=')) {
    printRemark(
      context,
      '--jti X509SHA256=... is the id of a client certificate, which kube-apiserver checks itself: no token has this id',
    );
  }
  return { kind, name };
}

/** Returns `user corp:jane` or `token abcdef001122`. */
export function nameSubject({ kind, name }: Subject): string {
  if (kind === 'all') return 'all users';
  return `${kind} ${kind === 'token' ? shortDigest(name) : printable(name)}`;
}

/**
 * Refuses a token that carries a password: each spelling of that login is another token, so a block or revocation of one
 * of them stops no one. No backend is asked. When no authenticator can have such a token, it prints a warning.
 */
async function refusePasswordToken(
  context: CommandContext,
  config: GatewayConfig,
  token: string,
  verb: 'block' | 'revoke',
) {
  const durationOption = verb === 'block' ? ['--for', '8h'] : [];
  const makeUserCommand = (name: string) =>
    commandLine(context, [verb, '--user', name, ...durationOption]);
  const shapes = await withAuthenticators(config, pino({ level: 'silent' }), (created) => {
    return created.map((a) => describeShape(a, token));
  }).catch((error: unknown) => {
    const cause = `to ${verb} a token, each authenticator must say whether it contains a password, and one can't`;
    throw new FixableError(
      `nothing was done: ${cause}: ${describeCauses(error).join('; ')}`,
      `fix that, or name the user: ${makeUserCommand('NAME')}`,
    );
  });
  const logins = shapes.filter(({ username }) => username !== undefined);
  if (logins.length > 0) {
    const names = logins.map(({ authenticator }) => authenticator).join(', ');
    throw new UsageError(
      `nothing was done: the token contains a password, for authenticator${logins.length === 1 ? '' : 's'} ${names}. The same login ` +
        'in another spelling, such as with other capitals in the name, is another token, so this command would have no effect',
      'name the user as Kubernetes sees them (username in the log), and have the password changed. If the token contains the ' +
        `name as the backend writes it, run:${logins.map(({ username = '' }) => `\n  ${makeUserCommand(username)}`).join('')}`,
    );
  }
  if (shapes.some(({ recognized }) => recognized)) return;
  printRemark(
    context,
    'no authenticator of this config has tokens of this form: was the token cut or mistyped? The command continues',
  );
}

/**
 * Asks an authenticator what a token is, by its text alone. `username`, if it carries a password, is as Kubernetes would see it.
 */
function describeShape(
  { config: { name, username }, authenticator }: CreatedAuthenticator,
  token: string,
) {
  try {
    const claimedName: unknown = authenticator.claimedName?.(token);
    if (claimedName === undefined)
      return { authenticator: name, recognized: authenticator.recognizes?.(token) !== false };
    if (typeof claimedName === 'string' && claimedName !== '')
      return { authenticator: name, username: username.prefix + claimedName };
  } catch {
    // What was thrown may quote the token.
  }
  throw new Error(
    `claimedName() or recognizes() of authenticator ${name} threw, or returned neither a name nor undefined`,
  );
}
