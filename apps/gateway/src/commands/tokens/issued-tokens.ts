import type { TokenFilter, TokenRequest, UnreadableToken } from '@sallyport/authenticator';
import { z } from 'zod';
import { printable } from '../../base/logging/printable.ts';
import { FixableError, type ProblemWords } from '../../config/problems.ts';
import type { GatewayConfig, IdentityConfig } from '../../config/types.ts';
import { shortDigest } from '../../engine/revocation/list.ts';
import type { CommandContext, OutputStream } from '../context.ts';
import {
  type IssuerSetup,
  loadIssuer,
  type SeenToken,
  seeToken,
  toJson,
  withIssuer,
} from '../issuer.ts';
import type { ReadOptions, TokenOptions } from '../options.ts';
import { type ExitCode, exitCodes, printJson, printRemark, UsageError } from '../output.ts';
import { commandLine } from '../printed-commands.ts';
import { roundedDuration, timeText } from '../times.ts';
import { checkName, remarkOtherName } from '../users/name-check.ts';
import { findUser, remarkFound } from '../users/user-names.ts';
import { remarkCommas } from './token-hash.ts';
import { printTokens } from './token-table.ts';

export interface RequestOptions extends TokenOptions {
  readonly authenticator?: string;
  readonly ttl: number;
  readonly extra?: readonly string[];
  readonly notBefore?: string;
  readonly reason?: string;
  readonly by: string;
}

export async function createToken(context: CommandContext, options: ReadOptions & RequestOptions) {
  const now = context.now();
  const request = readRequest(options, now);
  const setup = await loadIssuer(context, options);
  const { authenticator, config, nameUser } = setup;
  if (authenticator.name === config.login?.sessions) {
    throw new UsageError(
      `authenticator ${authenticator.name} is for sessions (login.sessions), which only a login creates`,
      'add another authenticator for tokens',
    );
  }
  checkRequest(context, setup, request);
  await withIssuer(context, setup, async (issuer) => {
    const { token, issued } = await issuer.create(request);
    // The token is printed before the issuer is closed: it must reach its user, whatever happens then.
    const seenToken = seeToken(issued, nameUser, now);
    if (options.output === 'json')
      printJson(context, { token, ...toJson(seenToken, authenticator.name) });
    else {
      context.stdout.write(`${token}\n`);
      const revoke = setup.toPaste('revoke', '--digest', shortDigest(issued.digest));
      context.stderr.write(`${describeToken(seenToken, now)}\nTo revoke it: ${revoke}\n`);
    }
  });
  remarkLifetime(context, options.ttl);
  remarkCommas(context, request.user.groups);
  remarkPrefix(context, setup, request);
  remarkAudiences(context, config, request);
  return exitCodes.success;
}

/** Remarks on a token that is valid for longer than a year, unless that was written as `never`. @param ttl milliseconds */
function remarkLifetime(context: CommandContext, ttl: number): void {
  if (ttl === Number.POSITIVE_INFINITY || ttl <= 366 * 86_400_000) return;
  printRemark(
    context,
    'this token is valid for more than a year, for anyone who gets a copy of it',
    'if that is not meant, revoke it, and create one with a shorter --ttl, such as 90d',
  );
}

/** Remarks on a user whose name has the prefix of another authenticator: the token is not for that user. */
function remarkPrefix(
  context: CommandContext,
  { config: { authenticators }, nameUser }: IssuerSetup,
  { user }: TokenRequest,
): void {
  const owner = authenticators.find(
    ({ username: { prefix } }) => prefix !== '' && user.username.startsWith(prefix),
  );
  if (owner === undefined) return;
  printRemark(
    context,
    `this token is for ${printable(nameUser(user).user.username)}, and not for the user ${printable(user.username)} of authenticator ${owner.name}`,
    'if that user is meant, revoke this token: users of that authenticator get no tokens here',
  );
}

/** Remarks on a token that is for audiences which no cluster of this config asks for. */
function remarkAudiences(
  context: CommandContext,
  { login, server: { apiAudiences } }: GatewayConfig,
  { audiences }: TokenRequest,
): void {
  const clusters = Object.values(login?.clusters ?? {}).map(({ audience }) => audience);
  const expected = [...new Set([...apiAudiences, ...clusters])];
  if (audiences === undefined || expected.length === 0) return;
  if (audiences.some((audience) => expected.includes(audience))) return;
  printRemark(
    context,
    'the audiences of this token are none that this config names, so an API server might refuse it',
    `write --audience with what that API server asks for, such as ${printable(expected.join(', '))}`,
  );
}

/** @param now milliseconds since 1970: `--ttl` counts from here. @throws UsageError */
export function readRequest(options: RequestOptions, now: number): TokenRequest {
  const { user, ttl, uid, group, extra, audience, reason } = options;
  const expiresAt = ttl === Number.POSITIVE_INFINITY ? undefined : new Date(now + ttl);
  const notBefore = options.notBefore === undefined ? undefined : parseTime(options.notBefore);
  if (notBefore !== undefined && expiresAt !== undefined && notBefore >= expiresAt) {
    throw new UsageError(
      `--not-before is not before the end of the token, ${expiresAt.toISOString()}`,
      'make --ttl longer, which counts from now',
    );
  }
  return {
    user: {
      username: user,
      ...(uid !== undefined && { uid }),
      ...(group && { groups: [...new Set(group)] }),
      ...(extra && { extra: readExtra(extra) }),
    },
    ...(audience && { audiences: [...new Set(audience)] }),
    ...(notBefore && { notBefore }),
    ...(expiresAt && { expiresAt }),
    issuedBy: options.by,
    ...(reason !== undefined && { reason }),
  };
}

/** Reads a time in RFC 3339 with a zone: without one it would mean another moment on each machine. */
function parseTime(text: string): Date {
  if (z.iso.datetime({ offset: true }).safeParse(text).success) return new Date(text);
  throw new UsageError(
    '--not-before is not a time in RFC 3339 with its zone',
    'write a time such as 2030-01-31T12:00:00Z',
  );
}

/** Collects the values of each key, in their order. Only the first `=` divides. */
function readExtra(pairs: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const entries = pairs.map((pair) => {
    const [, key, value] = /^([^=]+)=(.+)$/su.exec(pair) ?? [];
    if (key !== undefined && value !== undefined) return { key, value };
    throw new UsageError(
      `--extra: "${pair}" is not key=value`,
      'write it as in --extra team=build',
    );
  });
  const byKey = Map.groupBy(entries, ({ key }) => key);
  return Object.fromEntries(
    [...byKey].map(([key, group]) => [key, group.map(({ value }) => value)]),
  );
}

/**
 * Refuses names that have a prefix of the config already, since it is put before them at each use, and users that the policy refuses.
 * Prints a remark for groups that the policy leaves out.
 */
function checkRequest(
  context: CommandContext,
  { authenticator, config, nameUser }: IssuerSetup,
  { user }: TokenRequest,
): void {
  const { username, groups = [] } = user;
  const named = [
    { flag: '--user', name: username, prefix: authenticator.username.prefix },
    ...groups.map((name) => ({ flag: '--group', name, prefix: authenticator.groups.prefix })),
  ];
  for (const { flag, name, prefix } of named) {
    if (prefix === '' || !name.startsWith(prefix)) continue;
    const unprefixed = name.slice(prefix.length) || 'NAME';
    throw new UsageError(
      `${flag} must not include the prefix ${prefix}`,
      `write ${flag} ${unprefixed}`,
    );
  }
  const { user: kubernetesUser, violation } = nameUser(user);
  if (violation !== undefined) {
    const { rule, name } = violation;
    throw new FixableError(
      `no token was made, since each use of it would be refused: ${name === undefined ? rule : `${rule}: ${name}`}`,
      `give other names, or change what ${config.file} allows authenticator ${authenticator.name}`,
    );
  }
  const allowed = new Set(kubernetesUser.groups);
  const dropped = groups.filter((group) => !allowed.has(authenticator.groups.prefix + group));
  if (dropped.length === 0) return;
  const { name, directory } = authenticator;
  const shown = printable(dropped.join(', '));
  printRemark(
    context,
    directory?.groups === 'replace'
      ? `Kubernetes will not see ${shown} in the token, since authenticator ${name} gives its users the groups of ${directory.authenticator}`
      : `groups.allow of authenticator ${name} does not include ${shown}, so Kubernetes will not see them in the token`,
  );
}

function describeToken({ issued, user }: SeenToken, now: number): string {
  const { expiresAt, notBefore, audiences } = issued;
  const lines = [
    ['user', user.username],
    ['groups', user.groups?.join(', ') || 'none'],
    ['audiences', audiences?.join(', ')],
    ['from', notBefore && timeText(notBefore)],
    [
      'until',
      expiresAt === undefined
        ? 'never ends'
        : `${timeText(expiresAt)} (${roundedDuration(+expiresAt - now)})`,
    ],
    ['digest', shortDigest(issued.digest)],
  ];
  const shownLines = lines.flatMap(([name = '', value]) =>
    value ? [`  ${name.padEnd(10)} ${printable(value)}`] : [],
  );
  return ['The token is shown only once. As Kubernetes sees it:', ...shownLines].join('\n');
}

type ListOptions = ReadOptions &
  Partial<Record<'authenticator' | 'user' | 'digest', string>> & { readonly exact?: boolean };

/** Lists issued tokens. It exits 3 if none is of the user, or has the digest, that is asked for. */
export async function listTokens(context: CommandContext, options: ListOptions): Promise<ExitCode> {
  const { user, digest, output } = options;
  const setup = await loadIssuer(context, options);
  const { name } = setup.authenticator;
  const username =
    user === undefined ? undefined : await findUsername(context, user, setup, options.exact);
  const filter = {
    ...(username !== undefined && { username }),
    ...(digest !== undefined && { digest }),
  };
  const now = context.now();
  const { tokens, unreadable } = await collect(context, setup, filter, now);
  if (output === 'json')
    printJson(context, { tokens: tokens.map((token) => toJson(token, name)), unreadable });
  else printTokens(context, setup, tokens, unreadable, now);
  const { length } = unreadable;
  if (tokens.length + length === 0) {
    const { message, fix } = emptyRemark(context, setup, filter, options);
    printRemark(context, message, fix);
    if (username !== undefined) await remarkOtherSessions(context, setup, username);
  }
  const subject =
    length === 1
      ? '1 record is unreadable and authenticates'
      : `${length} records are unreadable and authenticate`;
  if (length > 0) printRemark(context, `${subject} no one`, 'fix or delete what is stored there');
  const isMissing = Object.keys(filter).length > 0 && tokens.length + length === 0;
  return isMissing ? exitCodes.negative : exitCodes.success;
}

/** Returns the name by which an issuer knows a user. Sessions have the names that Kubernetes sees. @throws UsageError */
async function findUsername(
  context: CommandContext,
  user: string,
  { authenticator, config }: IssuerSetup,
  isExact?: boolean,
): Promise<string> {
  if (authenticator.name !== config.login?.sessions) return withoutPrefix(user, authenticator);
  const { name, doubt } = await findUser(context, config, user, { isExact });
  remarkFound(context, user, name, doubt);
  return name;
}

async function remarkOtherSessions(
  context: CommandContext,
  { authenticator: { name }, config }: IssuerSetup,
  user: string,
) {
  if (name !== config.login?.sessions) return;
  const words = ['token', 'list', '--authenticator', name, '--user'];
  const checked = await checkName(context, config, user);
  remarkOtherName(context, checked, (username) => [...words, username]);
}

function emptyRemark(
  context: CommandContext,
  { authenticator, config }: IssuerSetup,
  { username, digest }: TokenFilter,
  options: ListOptions,
): ProblemWords {
  const { name } = authenticator;
  const sessions = config.login?.sessions;
  const listFix = `list all: ${commandLine(context, ['token', 'list', '--authenticator', name])}`;
  if (digest !== undefined)
    return { message: `authenticator ${name} has no token with this digest`, fix: listFix };
  const noun = name === sessions ? 'session' : 'token';
  if (username === undefined) return { message: `authenticator ${name} has no ${noun}s` };
  const message = `authenticator ${name} has no ${noun} of user ${printable(authenticator.username.prefix + username)}`;
  if (sessions === undefined || options.authenticator !== undefined)
    return { message, fix: listFix };
  const words = ['token', 'list', '--authenticator', sessions, '--user', options.user ?? username];
  return {
    message,
    fix: `to list their sessions, run: ${commandLine(context, words)}`,
  };
}

/**
 * Takes a name as `token create` does, and with the prefix, as Kubernetes and this list show it.
 *
 * @throws UsageError for the prefix alone
 */
function withoutPrefix(name: string, { username: { prefix } }: IdentityConfig): string {
  if (!name.startsWith(prefix)) return name;
  if (name === prefix)
    throw new UsageError('--user is only a prefix', `write --user ${prefix}NAME`);
  return name.slice(prefix.length);
}

/** Yields each of `items`, and shows on a terminal how far a long listing is, in one line that is removed at the end. */
export async function* withProgress<Item>(
  items: AsyncIterable<Item>,
  noun: string,
  stream: Pick<OutputStream, 'isTTY' | 'write'>,
): AsyncGenerator<Item> {
  let count = 0;
  try {
    for await (const item of items) {
      count += 1;
      if (stream.isTTY && count % 1000 === 0) stream.write(`\r${count} ${noun} …`);
      yield item;
    }
  } finally {
    if (stream.isTTY && count >= 1000) stream.write('\r\u001b[K');
  }
}

/** Collects the tokens that fit, the newest first. */
async function collect(
  context: CommandContext,
  setup: IssuerSetup,
  filter: TokenFilter,
  now: number,
) {
  const tokens: SeenToken[] = [];
  const unreadable: UnreadableToken[] = [];
  await withIssuer(context, setup, async (issuer) => {
    for await (const record of withProgress(issuer.list(filter), 'tokens', context.stderr)) {
      if ('problem' in record) unreadable.push({ digest: record.digest, problem: record.problem });
      else tokens.push(seeToken(record, setup.nameUser, now));
    }
  });
  const issuedAt = ({ issued }: SeenToken) => issued.issuedAt?.getTime() ?? 0;
  const byDigest = (a: { digest: string }, b: { digest: string }) => (a.digest < b.digest ? -1 : 1);
  return {
    tokens: tokens.sort((a, b) => issuedAt(b) - issuedAt(a) || byDigest(a.issued, b.issued)),
    unreadable: unreadable.sort(byDigest),
  };
}
