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
  const found = files.flatMap(({ file, tokens }) =>
    [...tokens.values()]
      .filter(({ user }) => user.username === username)
      .map((record) => ({ file, record })),
  );
  trace?.(`${found.length} ${found.length === 1 ? 'token has' : 'tokens have'} this name`);
  for (const { file, record } of found.slice(0, maxShown)) {
    trace?.(`${file}, line ${record.line}: ${textOf(record, now)}`);
  }
  if (found.length > maxShown) trace?.(`${found.length - maxShown} more are not shown`);
  const users = found
    .filter(({ record }) => !isExpired(record, now))
    .map(({ record }) => record.user);
  const [first] = users;
  if (first === undefined) return undefined;
  return { ...first, groups: [...new Set(users.flatMap(({ groups = [] }) => groups))].sort() };
}

function textOf(record: FileToken, now: number): string {
  const { user, notBefore, expiresAt } = record;
  const groups = user.groups?.length ? `groups ${user.groups.join(', ')}` : 'no groups';
  if (isExpired(record, now)) return `expired at ${momentOf(expiresAt)}, not counted (${groups})`;
  return notBefore !== undefined && now < notBefore
    ? `valid from ${momentOf(notBefore)} (${groups})`
    : groups;
}

function momentOf(time = 0): string {
  return new Date(time).toISOString();
}

export function isExpired({ expiresAt }: FileToken, now: number): boolean {
  return expiresAt !== undefined && now >= expiresAt;
}
