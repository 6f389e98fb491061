import { createHash } from 'node:crypto';
import { isClearText, parseUrl } from '@sallyport/redis-connection/options';
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
  const digest = `tr -d '\\n' < ${file} | openssl dgst -sha256 -r | cut -c1-64`;
  return `printf 'user ${redisUser} on #%s ${redisRights}\\n' "$(${digest})"`;
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
