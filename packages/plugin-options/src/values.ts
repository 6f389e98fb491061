import { z } from 'zod';
import type { Parsed } from './parsed.ts';
import { durationPattern, parseDuration } from './units.ts';

/** A duration's bounds: milliseconds, and the same as an operator writes them. */
export interface DurationBounds {
  readonly least: { readonly value: number; readonly text: string };
  readonly most: { readonly value: number; readonly text: string };
}

/** setTimeout takes at most 2^31 - 1 ms (24.8 days) and fires at once on more. */
export const longestDuration: DurationBounds['most'] = { value: 7 * 86_400_000, text: '7d' };

/** Described to editors as text; read by a parser of ours, which has better words for what is wrong. */
export function value<Value>(described: object, parse: (input: unknown) => Parsed<Value>): z.ZodType<Value> {
  return z
    .unknown()
    .transform((input, context): Value => {
      const parsed = parse(input);
      if ('value' in parsed) return parsed.value;
      context.issues.push({ code: 'custom', message: `${parsed.problem}: ${parsed.fix}`, input });
      return z.NEVER;
    })
    .meta({ type: 'string', ...described });
}

/** One text or a list of them, each read by `parse`; a problem of one names its place in the list. */
export function oneOrMore<Value>(
  described: { readonly description: string; readonly items?: object },
  most: number,
  parse: (input: unknown) => Parsed<Value>,
): z.ZodType<readonly Value[]> {
  const { description, items } = described;
  const item = { type: 'string', ...items };
  return z
    .unknown()
    .transform((input, context): readonly Value[] => {
      const list: readonly unknown[] = Array.isArray(input) ? input : [input];
      const complain = (message: string, path: PropertyKey[]) =>
        context.issues.push({ code: 'custom', message, input, path });
      if (list.length === 0) complain('must not be empty: write one or a list', []);
      if (list.length > most) complain(`has ${list.length} entries: write at most ${most}`, []);
      return list.flatMap((entry, index) => {
        const parsed = parse(entry);
        if ('value' in parsed) return [parsed.value];
        complain(`${parsed.problem}: ${parsed.fix}`, Array.isArray(input) ? [index] : []);
        return [];
      });
    })
    .meta({ description, anyOf: [item, { type: 'array', items: item, minItems: 1, maxItems: most }] });
}

/** A list of texts, each read by `parse`. */
export function list<Value>(
  described: { readonly description: string; readonly example: string; readonly items?: object },
  bounds: { readonly least: number; readonly most: number },
  parse: (input: unknown) => Parsed<Value>,
): z.ZodType<readonly Value[]> {
  const { description, example, items } = described;
  const length = bounds.least === 0 ? `at most ${bounds.most}` : `${bounds.least} to ${bounds.most}`;
  const wrongLength = `must have ${length} entries: write ${example}`;
  return z
    .array(value({ ...items }, parse), { error: `must be a list: write ${example}` })
    .min(bounds.least, wrongLength)
    .max(bounds.most, wrongLength)
    .describe(description);
}

/** The path of a file, read later through the gateway, which follows it. */
export function path(description: string, example: string): z.ZodType<string> {
  return value({ description, minLength: 1 }, (input) => {
    // The gateway has put a file's content in the place of `{ file: … }`. It may be a key, so nothing of it is told.
    const content = typeof input === 'string' && /[\r\n\0]/.test(input);
    if (content) return { problem: 'must be a path, not the content of a file', fix: `write ${example}` };
    return parseText(input, example);
  });
}

/** @returns a problem that quotes nothing of what was written: it may be a secret in a wrong place */
export function parseText(input: unknown, example: string): Parsed<string> {
  const fix = `write ${example}`;
  if (input === null) return { problem: 'is empty', fix };
  if (typeof input !== 'string') return { problem: 'must be text', fix };
  if (input === '') return { problem: 'must not be empty', fix };
  if (!input.isWellFormed() || /\p{Cc}/u.test(input)) return { problem: 'must be one line of text', fix };
  return { value: input };
}

/** A duration with its unit, in milliseconds. */
export function duration(description: string, bounds: DurationBounds): z.ZodType<number> {
  const { least, most } = bounds;
  return value({ description: `${description} ${least.text} to ${most.text}.`, pattern: durationPattern }, (input) => {
    const parsed = parseDuration(input);
    if ('problem' in parsed) return parsed;
    if (parsed.value < least.value) return { problem: 'is too short', fix: `write at least ${least.text}` };
    if (parsed.value > most.value) return { problem: 'is too long', fix: `write at most ${most.text}` };
    return parsed;
  });
}

/** A whole number. */
export function count(description: string, least: number, most: number): z.ZodType<number> {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, error).max(most, error).describe(description);
}

export function flag(description: string): z.ZodType<boolean | undefined> {
  return z.boolean({ error: 'must be true or false, without quotes' }).optional().describe(description);
}

/** One of a few words. */
export function choice<const Words extends readonly [string, ...string[]]>(
  description: string,
  words: Words,
): z.ZodType<Words[number]> {
  return z.enum(words, { error: `must be ${words.join(' or ')}` }).describe(description);
}
