import { pino } from 'pino';
import { boundedId } from '../chain/decision.ts';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig, IdentityConfig } from '../config/types.ts';
import { printable } from '../logging/printable.ts';
import { digestOf, type Entry } from '../revocation/list.ts';
import { type CreatedAuthenticator, closeAuthenticator, createAuthenticators } from '../runtime/authenticators.ts';
import { localAttempts, needCacheRedis } from './cache-redis.ts';
import { commandLine, shellQuoted } from './command-line.ts';
import { loadNamedConfig } from './config-file.ts';
import { UsageError } from './exit-codes.ts';
import { readToken } from './input.ts';
import { type OutputFormat, printRemark, shortDigest } from './output.ts';

/** The options that name what a command is about. */
export type SubjectOptions = Partial<
  Record<'user' | 'group' | 'digest' | 'jti' | 'sid', string> & Record<'token' | 'all', boolean>
>;

/** The options of every command that writes to the revocation list. */
export interface EntryOptions extends SubjectOptions {
  readonly config?: string;
  /** The name is meant as it is, though it begins with no prefix of the config. */
  readonly exact?: boolean;
  readonly reason?: string;
  readonly by: string;
  /** Milliseconds. */
  readonly wait: number;
  readonly output: OutputFormat;
}

/** What an entry is about, and the token where one was read. With `--digest`, the name has the digits that were given. */
export interface Subject extends Pick<Entry, 'kind' | 'name'> {
  readonly token?: string;
}

/** What a command that writes to the list has found out before it does anything. */
export interface Prepared {
  readonly config: GatewayConfig;
  readonly subject: Subject;
  /** The parts of the entry that do not depend on the command. */
  readonly record: Pick<Entry, 'kind' | 'name' | 'by' | 'reason'>;
}

/** @throws UsageError, ConfigError, Error when the config has no cache.redis and the command can do nothing without it */
export async function prepare(
  options: EntryOptions,
  verb: Exclude<Entry['action'], 'unlock'>,
  kinds: readonly SubjectKind[],
): Promise<Prepared> {
  const { reason, by } = options;
  const kind = subjectKind(options, verb, kinds);
  const config = await loadNamedConfig(options);
  if (verb !== 'revoke' || kind === 'all') needCacheRedis(config, verb);
  if (kind === 'user' || kind === 'group') {
    requirePrefix(kind, options[kind] ?? '', namingAuthenticators(config), options.exact);
  }
  const subject = await readSubject(options, kind);
  // `unblock` takes any token: it must be possible to end every block.
  if (subject.token !== undefined && verb !== 'unblock') {
    await refusePasswordToken(config, subject.token, verb, options.config);
  }
  return { config, subject, record: { kind: subject.kind, name: subject.name, by, ...(reason && { reason }) } };
}

const ways = {
  user: '--user NAME',
  group: '--group NAME',
  token: '--token (which is read from standard input)',
  digest: '--digest DIGITS',
  jti: '--jti ID',
  sid: '--sid ID',
  all: '--all',
} as const;

type SubjectKind = keyof typeof ways;

/**
 * @param verb for the message: `block`
 * @param kinds those that the command takes
 * @throws UsageError unless exactly one of these is given
 */
export function subjectKind(options: SubjectOptions, verb: string, kinds: readonly SubjectKind[]): SubjectKind {
  const [kind, ...others] = (Object.keys(ways) as SubjectKind[]).filter((each) => options[each]);
  if (kind !== undefined && others.length === 0) return kind;
  throw new UsageError(`name what to ${verb} with exactly one of: ${kinds.map((each) => ways[each]).join(', ')}`);
}

/** Reads the token, where one is meant, before any connection is opened that would have to wait for it. @throws UsageError */
export async function readSubject(options: SubjectOptions, kind: SubjectKind): Promise<Subject> {
  if (kind === 'all') return { kind, name: '' };
  if (kind === 'digest') return { kind: 'token', name: options.digest ?? '' };
  if (kind === 'jti' || kind === 'sid') return readId(kind, options[kind] ?? '');
  if (kind !== 'token') return { kind, name: options[kind] ?? '' };
  const token = await readToken();
  return { kind, name: digestOf(token), token };
}

function readId(kind: 'jti' | 'sid', id: string): Subject {
  const name = boundedId(id);
  if (name !== id) {
    printRemark(
      `--${kind} is very long: is it a whole token? "block --token" reads one from standard input. It is done all the same`,
    );
  }
  if (id.trim() !== id) {
    printRemark(`--${kind} begins or ends with a blank: if that was copied by mistake, this is the id of no token`);
  }
  if (kind === 'jti' && id.startsWith('X509SHA256=')) {
    printRemark(
      '--jti X509SHA256=... is the id of a client certificate, which kube-apiserver checks itself: no token has it',
    );
  }
  return { kind, name };
}

/** Returns `user corp:jane` or `token abcdef001122`. */
export function nameSubject({ kind, name }: Pick<Entry, 'kind' | 'name'>): string {
  if (kind === 'all') return 'all users';
  return `${kind} ${kind === 'token' ? shortDigest(name) : printable(name)}`;
}

/** Those that give users their names: sessions have the names of others. */
export function namingAuthenticators({ authenticators, login }: Pick<GatewayConfig, 'authenticators' | 'login'>) {
  return authenticators.filter(({ name }) => name !== login?.sessions);
}

/**
 * Names are as Kubernetes sees them. Where one begins with no prefix of the config, the prefix was most likely forgotten,
 * and the command would have no effect on the user who is meant.
 *
 * @param isExact `--exact`: the name is meant as it is
 * @throws UsageError with the names that may be meant
 */
export function requirePrefix(
  kind: 'user' | 'group',
  name: string,
  authenticators: readonly Pick<IdentityConfig, 'username' | 'groups'>[],
  isExact = false,
): void {
  const all = new Set(authenticators.map((one) => (kind === 'user' ? one.username : one.groups).prefix));
  const prefixes = [...all].filter((prefix) => prefix !== '');
  if (isExact || prefixes.length === 0) return;
  const own = prefixes.filter((prefix) => name.startsWith(prefix));
  if (own.some((prefix) => name !== prefix)) return;
  if (own[0] !== undefined) throw new UsageError(`--${kind} is the prefix alone: write --${kind} ${own[0]}NAME`);
  const candidates = [
    ...prefixes.map((prefix) => shellQuoted(prefix + name)),
    ...(all.has('') ? [`${shellQuoted(name)} --exact`] : []),
  ];
  throw new UsageError(
    `nothing was done: --${kind} ${printable(name)} begins with no prefix of this config, and names are as Kubernetes ` +
      `sees them. Write one of these${all.has('') ? '' : ', or add --exact if the name is right as it is'}:` +
      candidates.map((candidate) => `\n  --${kind} ${printable(candidate)}`).join(''),
  );
}

/** The options that a command needs besides `--user`, in a command to paste. */
const moreOptions = { block: ['--for', '8h'], revoke: [] } as const;

/**
 * Refuses a token that carries a password: each spelling of that login is another token, so a block or revocation of one
 * of them stops no one. No backend is asked. When no authenticator can have such a token, it prints a warning.
 *
 * @param configOption as the operator gave it, for the command to paste
 * @throws UsageError naming the user to block or revoke instead; Error when an authenticator can't say what the token is
 */
async function refusePasswordToken(
  config: GatewayConfig,
  token: string,
  verb: keyof typeof moreOptions,
  configOption: string | undefined,
): Promise<void> {
  const byName = (name: string) => commandLine([verb, '--user', name, ...moreOptions[verb]], configOption);
  const shapes = await shapesOf(config, token).catch((error: unknown) => {
    throw new Error(
      `nothing was done: to ${verb} a token, each authenticator must say whether it carries a password, and one can't: ` +
        `${causeOf(error)}. Fix that, or name the user: ${byName('NAME')}`,
    );
  });
  const logins = shapes.filter(({ username }) => username !== undefined);
  if (logins.length > 0) {
    const names = logins.map(({ authenticator }) => authenticator).join(', ');
    throw new UsageError(
      `nothing was done: the token carries a password, for authenticator${logins.length === 1 ? '' : 's'} ${names}. ` +
        'Written in another way, such as with other capitals in the name, the same login is another token, so this command would ' +
        'stop no one. Name the user, as Kubernetes sees them (username in the log), and have the password changed. ' +
        `If the token has the name as the backend writes it:${logins.map(({ username = '' }) => `\n  ${byName(username)}`).join('')}`,
    );
  }
  if (shapes.some(({ recognized }) => recognized)) return;
  printRemark(
    'no authenticator of this config has tokens of this shape: was the token cut or mistyped? It is done all the same',
  );
}

/** What an authenticator says of a token, by its text alone. */
interface Shape {
  readonly authenticator: string;
  readonly recognized: boolean;
  /** As Kubernetes would see it, if the token has the name as the backend writes it. Left out: there is no password in it. */
  readonly username?: string;
}

async function shapesOf(config: GatewayConfig, token: string): Promise<readonly Shape[]> {
  const logger = pino({ level: 'silent' });
  const created = await createAuthenticators(config, { logger, attempts: localAttempts(config) });
  try {
    return created.map((one) => shapeOf(one, token));
  } finally {
    await Promise.all(created.map((one) => closeAuthenticator(one, logger)));
  }
}

/** @throws Error when the plugin throws, or gives neither a name nor undefined. The message quotes nothing of it */
function shapeOf({ config: { name, username }, authenticator }: CreatedAuthenticator, token: string): Shape {
  let typed: unknown;
  let recognized: boolean;
  try {
    typed = authenticator.claimedName?.(token);
    recognized = authenticator.recognizes?.(token) !== false;
  } catch {
    throw new Error(`claimedName() or recognizes() of authenticator ${name} threw`);
  }
  if (typed === undefined) return { authenticator: name, recognized };
  if (typeof typed !== 'string' || typed === '') {
    throw new Error(`claimedName() of authenticator ${name} gave neither a name nor undefined`);
  }
  return { authenticator: name, recognized: true, username: username.prefix + typed };
}
