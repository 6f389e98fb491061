import type { UserInfo } from '@sallyport/authenticator';
import type { FileToken, TokenSet } from './token-file.ts';

/** The tokens of one file, and its name in messages. */
export interface LoadedFile {
  readonly file: string;
  readonly tokens: TokenSet;
}

/** The number of tokens that an operator is shown one by one. */
const maxShown = 20;

/**
 * Looks up the user of a name, with the groups of all their tokens together. Each token gives only its own groups, so
 * `trace` shows them token by token. Tokens that have expired let no one in, so they do not count.
 *
 * @param now milliseconds since 1970
 * @returns undefined when no token has the name, or only expired ones
 */
export function lookUpTokenUser(
  files: readonly LoadedFile[],
  username: string,
  now: number,
  trace?: (step: string) => void,
): UserInfo | undefined {
  const matches = files.flatMap(({ file, tokens }) =>
    [...tokens.values()]
      .filter(({ user }) => user.username === username)
      .map((record) => ({ file, record })),
  );
  trace?.(`${matches.length} ${matches.length === 1 ? 'token has' : 'tokens have'} this name`);
  for (const { file, record } of matches.slice(0, maxShown)) {
    trace?.(`${file}, line ${record.line}: ${describeToken(record, now)}`);
  }
  if (matches.length > maxShown) trace?.(`${matches.length - maxShown} more are not shown`);
  const users = matches
    .filter(({ record }) => !isExpired(record, now))
    .map(({ record }) => record.user);
  const [firstUser] = users;
  if (firstUser === undefined) return undefined;
  return { ...firstUser, groups: [...new Set(users.flatMap(({ groups = [] }) => groups))].sort() };
}

function describeToken(record: FileToken, now: number): string {
  const { user, notBefore, expiresAt } = record;
  const groups = user.groups?.length ? `groups ${user.groups.join(', ')}` : 'no groups';
  if (isExpired(record, now))
    return `expired at ${toTimestamp(expiresAt)}, not counted (${groups})`;
  return notBefore !== undefined && now < notBefore
    ? `valid from ${toTimestamp(notBefore)} (${groups})`
    : groups;
}

function toTimestamp(time = 0): string {
  return new Date(time).toISOString();
}

export function isExpired({ expiresAt }: FileToken, now: number): boolean {
  return expiresAt !== undefined && now >= expiresAt;
}
