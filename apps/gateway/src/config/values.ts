import { durationPattern, type Parsed, parseDuration, parseSize, sizePattern } from '@sallyport/plugin-options';
import { z } from 'zod';
import { parseListen } from './listen.ts';
import type { ListenAddress } from './types.ts';

/** setTimeout takes at most 2^31 - 1 ms (24.8 days) and fires at once on more, also with 10 % added. */
const longestDuration = { value: 7 * 86_400_000, text: '7d' };

interface DurationBounds {
  /** Whether 0 has a meaning. Left out: it has none. */
  readonly zero?: true;
  /** What to write in place of a 0 that has no meaning. */
  readonly fixOfZero?: string;
  /** Why there is an upper bound stands in the fix. */
  readonly atMost?: { readonly value: number; readonly text: string; readonly why: string };
}

/** A duration with its unit, in milliseconds. */
export function duration(description: string, bounds: DurationBounds = {}): z.ZodType<number> {
  const most = bounds.atMost ?? longestDuration;
  // YAML reads 0 as a number.
  const type = bounds.zero ? { type: ['string', 'integer'], minimum: 0, maximum: 0 } : {};
  return text({ description, pattern: durationPattern, ...type }, (input) => {
    const parsed = parseDuration(input);
    if ('problem' in parsed) return parsed;
    if (parsed.value === 0 && !bounds.zero) {
      return { problem: 'must be longer than 0', fix: bounds.fixOfZero ?? 'write 500ms or more' };
    }
    if (parsed.value <= most.value) return parsed;
    const why = 'why' in most ? ` (${most.why})` : '';
    return { problem: `"${input}" is too long`, fix: `write at most ${most.text}${why}` };
  });
}

/** A size with its unit, in bytes, from 1 to `most`. */
export function size(description: string, most: { value: number; text: string; why: string }): z.ZodType<number> {
  return text({ description, pattern: sizePattern }, (input) => {
    const parsed = parseSize(input);
    if ('problem' in parsed) return parsed;
    if (parsed.value === 0) return { problem: 'must be more than 0', fix: 'write 16KiB or more' };
    if (parsed.value <= most.value) return parsed;
    return { problem: `"${input}" is too big`, fix: `write at most ${most.text} (${most.why})` };
  });
}

/** An address to listen on. */
export function listen(description: string): z.ZodType<ListenAddress> {
  return text({ description, pattern: String.raw`:\d+$` }, parseListen);
}

/** Described to editors as a string; read by a parser of ours, which has better words for what is wrong. */
function text<Value>(described: object, parse: (input: unknown) => Parsed<Value>): z.ZodType<Value> {
  return z
    .unknown()
    .transform((input, context): Value => {
      const parsed = parse(input);
      if ('value' in parsed) return parsed.value;
      context.issues.push({ code: 'custom', message: parsed.problem, params: { fix: parsed.fix }, input });
      return z.NEVER;
    })
    .meta({ type: 'string', ...described });
}
