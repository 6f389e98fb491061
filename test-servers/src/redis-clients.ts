import type { RedisServer } from './redis.ts';

/** Connections that the server has now, but for the fixture's own, which comes over the socket's other end. */
export async function clientsOf(redis: RedisServer): Promise<readonly string[]> {
  const own = await redis.client().client('ID');
  const list = String(await redis.client().client('LIST'));
  return list
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith(`id=${own} `));
}
