import { redisUsers } from '@sallyport/test-servers/redis-users';

/** The lines of an ACL file below a heading of docs/redis.md, in their order. */
export async function documentedLines(
  heading: keyof typeof redisUsers,
): Promise<readonly string[]> {
  return redisUsers[heading];
}

/** The keys of a config with which the user of a line logs in. @param file has the password */
export function loginOf(
  line: string,
  file: string,
): { readonly username: string; readonly password: object } {
  const [, username = ''] = /^user (\S+)/.exec(line) ?? [];
  return { username, password: { file } };
}
