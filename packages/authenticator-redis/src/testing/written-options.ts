import { complaintsAbout, settleOptions } from '@sallyport/test-servers/written-options';
import { optionsSchema, type RedisOptions } from '../options.ts';

/** The minimal options of a config file, with `changed` ones. */
export function writtenOptions(changed: Record<string, unknown> = {}): Record<string, unknown> {
  return { url: 'rediss://redis.example.com', ...changed };
}

export const settled = (written: object): RedisOptions => settleOptions(optionsSchema, written);
export const complaints = (written: unknown): string[] => complaintsAbout(optionsSchema, written);
