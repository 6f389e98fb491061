import { z } from 'zod';

/** A time in milliseconds since 1970. Scripts return it as text. */
const time = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number);
const texts = z.custom<string[]>(
  (value) => Array.isArray(value) && value.every((element) => typeof element === 'string'),
);

/** See `pollScript`. */
export const pollReply = z.tuple([z.string(), z.int(), time, z.int(), z.int(), z.int(), z.int()]);

/** See `readListScript` and `readReplicasScript`. */
export const hashReply = z.tuple([z.string(), time, texts, z.int()]);

/** See `changeListScript` and `writeBackScript`. */
export const countReply = z.int();

/** See `endedScript`. */
export const endedReply = z.tuple([z.string(), texts, z.string()]);
