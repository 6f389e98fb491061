import { RedisProblem } from '@sallyport/redis-connection';
import type { z } from 'zod';

/**
 * Reads the reply of a script. An attacker on the connection to Redis can send anything instead: a time that is not a
 * number would end blocks, and a count that is not a number would break `/metrics`.
 *
 * @throws RedisProblem
 */
export function readReply<Reply>(schema: z.ZodType<Reply>, reply: unknown): Reply {
  const { data } = schema.safeParse(reply);
  if (data === undefined)
    throw new RedisProblem('server', 'the cache Redis: the reply is not from the script');
  return data;
}
