import { RedisProblem } from '@sallyport/redis-connection';
import { z } from 'zod';

/** Milliseconds since 1970, as the scripts give them: as text, since Lua's numbers become 32-bit integers of Redis. */
const time = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number);
const texts = z.custom<string[]>((value) => Array.isArray(value) && value.every((one) => typeof one === 'string'));

/** See `pollScript`. */
export const pollReply = z.tuple([z.string(), z.int(), time, z.int(), z.int()]);

/** See `listScript` and `replicasScript`. */
export const hashReply = z.tuple([z.string(), time, texts]);

/**
 * Reads the reply of a script. Whoever is on the wire to Redis can send anything in its place: a time that is no number
 * would end blocks, and a count that is none would break `/metrics`.
 *
 * @throws RedisProblem
 */
export function readReply<Reply>(schema: z.ZodType<Reply>, reply: unknown): Reply {
  const { data } = schema.safeParse(reply);
  if (data === undefined) throw new RedisProblem('server', 'the cache Redis: the reply is not that of the script');
  return data;
}
