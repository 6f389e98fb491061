import { createHash } from 'node:crypto';
import { isClearText, parseUrl } from '@sallyport/redis-connection/options';
import { printable } from '../../base/logging/printable.ts';
import { shellQuoted } from '../../base/shell-quoted.ts';
import { UsageError } from '../output.ts';

export const redisUser = 'sallyport';

/** The minimal rights for the cache, tokens, sessions and every command, as docs/redis.md has them. */
const redisRights =
  'resetkeys ~sallyport:* -@all +getrange +pttl +echo +set +del +hset +hdel +hlen +hgetall +pexpire +time +eval +scan ' +
  '+zadd +zrange +zrem +role +wait +info';

/** Returns the user's line for an ACL file of Redis. It has the SHA-256 of the password in place of the password. */
export function aclLine(password: string): string {
  return `user ${redisUser} on #${createHash('sha256').update(password).digest('hex')} ${redisRights}`;
}

/** Returns a command that prints the same line. @param file the file of the password, quoted for a shell */
export function aclLineCommand(file: string): string {
  return `printf 'user ${redisUser} on #%s ${redisRights}\\n' "${readDigest(file)}"`;
}

/** Writes what a shell replaces by the digest of the password. */
function readDigest(file: string): string {
  return `$(tr -d '\\n' < ${file} | openssl dgst -sha256 -r | cut -c1-64)`;
}

/** Describes how a running Redis gets the same user. @param file the file of the password, quoted for a shell */
export function describeSetUser(
  { url, authority }: { readonly url: string; readonly authority?: { readonly file: string } },
  file: string,
): string {
  const caFile = authority === undefined ? '' : ` --cacert ${shellQuoted(authority.file)}`;
  const rights = redisRights.split(' ').map(shellQuoted).join(' ');
  return `Or run this as an administrator of Redis, and then ACL SAVE, or CONFIG REWRITE if it has no ACL file:

  ${printable(`redis-cli -u ${shellQuoted(url)}${caFile} ACL SETUSER ${redisUser} on "#${readDigest(file)}" ${rights}`)}`;
}

/** Reads the URL of one Redis, without a user: `init` makes the user and its password. @throws UsageError that quotes nothing of the URL */
export function parseRedisUrl(text: string): string {
  const parsed = parseUrl(text);
  if ('problem' in parsed) throw new UsageError(`--redis ${parsed.problem}`, parsed.fix);
  if (parsed.value.username !== undefined || parsed.value.password !== undefined) {
    throw new UsageError(
      '--redis must have no user and no password: init makes both',
      'write rediss://redis.example.com:6379',
    );
  }
  if (isClearText(parsed.value)) {
    throw new UsageError(
      '--redis is clear text to another machine: anyone on the network would learn the password',
      'write rediss://',
    );
  }
  return text;
}
