import { recordKey } from '@sallyport/test-servers/redis-tokens';
import { Redis } from 'ioredis';

/** Sends the commands of the Redis plugin, all those of a turn of the event loop in one write, and believes the record. */
export function createLookup(url: string): (token: string) => Promise<string> {
  const redis = new Redis(url, { enableAutoPipelining: true });
  return async (token) => {
    const key = recordKey(token);
    const [record] = await Promise.all([
      redis.getrange(key, 0, 65_536),
      redis.pttl(key),
      redis.echo(key),
    ]);
    return (JSON.parse(record) as { username: string }).username;
  };
}
