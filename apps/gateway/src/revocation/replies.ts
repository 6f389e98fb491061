import { z } from 'zod';

/** Milliseconds since 1970, as the scripts give them: as text, since Lua's numbers become 32-bit integers of Redis. */
const time = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number);
const texts = z.custom<string[]>((value) => Array.isArray(value) && value.every((one) => typeof one === 'string'));

/** See `pollScript`. */
export const pollReply = z.tuple([z.string(), z.int(), time, z.int(), z.int(), z.int(), z.int()]);

/** See `listScript` and `replicasScript`. */
export const hashReply = z.tuple([z.string(), time, texts]);

/** See `endedScript`. */
export const endedReply = z.tuple([z.string(), texts, z.string()]);
