import { z } from 'zod';
import {
  durationPattern,
  type ParseResult,
  parseDuration,
  parseSize,
  parseText,
  sizePattern,
} from './text.ts';

/**
 * Makes a value that editors see as text, and that `parse` reads: its messages are better than the messages of a
 * schema library. The `params` of an issue have its problem and its fix separately.
 */
export function value<Value>(
  described: object,
  parse: (input: unknown) => ParseResult<Value>,
): z.ZodType<Value> {
  return z
    .unknown()
    .transform((input, context): Value => {
      const parsed = parse(input);
      if ('value' in parsed) return parsed.value;
      complainTo(context, input)([], parsed.problem, parsed.fix);
      return z.NEVER;
    })
    .meta({ type: 'string', ...described });
}

/**
 * Makes one text or a list of at most `max`, each read by `parse`. A problem of one entry has its
 * index in the path.
 */
export function oneOrMore<Value>(
  { description, items }: { readonly description: string; readonly items?: object },
  max: number,
  parse: (input: unknown) => ParseResult<Value>,
): z.ZodType<readonly Value[]> {
  const item = { type: 'string', ...items };
  return z
    .unknown()
    .transform((input, context): readonly Value[] => {
      const inputs: readonly unknown[] = Array.isArray(input) ? input : [input];
      const complain = complainTo(context, input);
      if (inputs.length === 0) complain([], 'must not be empty', 'write one or a list');
      if (inputs.length > max) complain([], `has ${inputs.length} entries`, `write at most ${max}`);
      return parseEntries(inputs, parse, (index, problem, fix) =>
        complain(Array.isArray(input) ? [index] : [], problem, fix),
      );
    })
    .meta({
      description,
      anyOf: [item, { type: 'array', items: item, minItems: 1, maxItems: max }],
    });
}

/** Makes a list of texts, each read by `parse`. A problem of one entry has its index in the path. */
export function list<Value>(
  {
    description,
    example,
    items,
  }: { readonly description: string; readonly example: string; readonly items?: object },
  { min, max }: { readonly min: number; readonly max: number },
  parse: (input: unknown) => ParseResult<Value>,
): z.ZodType<readonly Value[]> {
  const bounds = min === 0 ? `at most ${max}` : `${min} to ${max}`;
  return z
    .unknown()
    .transform((input, context): readonly Value[] => {
      const complain = complainTo(context, input);
      if (!Array.isArray(input)) {
        complain([], input === undefined ? 'is missing' : 'must be a list', `write ${example}`);
        return z.NEVER;
      }
      if (input.length < min || input.length > max)
        complain([], `must have ${bounds} entries`, `write ${example}`);
      return parseEntries(input, parse, (index, problem, fix) => complain([index], problem, fix));
    })
    .meta({
      type: 'array',
      items: { type: 'string', ...items },
      minItems: min,
      maxItems: max,
      description,
    });
}

function parseEntries<Value>(
  inputs: readonly unknown[],
  parse: (input: unknown) => ParseResult<Value>,
  complain: (index: number, problem: string, fix: string) => void,
): readonly Value[] {
  return inputs.flatMap((entry, index) => {
    const parsed = parse(entry);
    if ('value' in parsed) return [parsed.value];
    complain(index, parsed.problem, parsed.fix);
    return [];
  });
}

/** Makes one line of text that is not empty. */
export function text(description: string, example: string): z.ZodType<string> {
  return value({ description, minLength: 1 }, (input) => parseText(input, example));
}

/**
 * Makes a secret, which the gateway reads from where the config says.
 *
 * @param fix says how to write one: `write { file: secrets/redis } or { env: REDIS_PASSWORD }`
 */
export function secret(
  description: string,
  fix: string,
  emptyProblem = 'must not be empty',
): z.ZodType<string> {
  return value({ description, minLength: 1, writeOnly: true }, (input) => {
    if (typeof input !== 'string') return { problem: 'must be a secret', fix };
    if (input === '') return { problem: emptyProblem, fix };
    if (input.includes('\0') || !input.isWellFormed())
      return { problem: 'must not contain NUL or unpaired surrogates', fix };
    return { value: input };
  });
}

/** Makes the path of a file. The plugin reads it later with `context.watchFile`, which follows its changes. */
export function path(description: string, example: string): z.ZodType<string> {
  return value({ description, minLength: 1 }, (input) => {
    // The gateway replaces `{ file: … }` by the content of the file. It may be a key, so no message quotes it.
    const isContent = typeof input === 'string' && /[\r\n\0]/.test(input);
    if (isContent)
      return { problem: 'must be a path, not the content of a file', fix: `write ${example}` };
    if (typeof input === 'string' && /^[a-z]+:\/\//i.test(input)) {
      const fix = `save the file on this machine, and write its path, such as ${example}`;
      return { problem: 'must be the path of a file, not a URL', fix };
    }
    return parseText(input, example);
  });
}

/** Bounds limit a duration or a size. They are written as in gateway.yaml: `500ms`, `3MiB`. */
export interface Bounds {
  /** The smallest value. Defaults to more than 0; `0` allows 0. */
  readonly min?: string;
  /** The biggest value. Defaults to 7d for a duration, and to no bound for a size. */
  readonly max?: string;
  /** The message about a bigger value gives this as the reason for `max`. */
  readonly why?: string;
  /** The message about a 0 that is refused says to do this. */
  readonly fixForZero?: string;
}

/**
 * Makes a duration with its unit, read as milliseconds: more than 0 and at most 7 days, unless the bounds say otherwise.
 * setTimeout takes at most 2^31 - 1 ms (24.8 days), and fires immediately on more.
 */
export function duration(description: string, bounds: Bounds = {}): z.ZodType<number> {
  const words = { pattern: durationPattern, large: 'long', small: 'short', example: '500ms' };
  return quantity(description, { max: '7d', ...bounds }, parseDuration, words);
}

/** Makes a size with its unit, read as bytes: more than 0, unless the bounds say otherwise. */
export function size(description: string, bounds: Bounds = {}): z.ZodType<number> {
  const words = { pattern: sizePattern, large: 'big', small: 'small', example: '16KiB' };
  return quantity(description, bounds, parseSize, words);
}

/** Makes a number with a unit. @param words for its messages: `too long`, `too big` and the like */
function quantity(
  description: string,
  { min, max, why: reason, fixForZero }: Bounds,
  parse: (input: unknown) => ParseResult<number>,
  {
    pattern,
    large,
    small,
    example,
  }: Readonly<Record<'pattern' | 'large' | 'small' | 'example', string>>,
) {
  const [lowest, highest] = [bound(min, parse), bound(max, parse)];
  const range = min === undefined ? max && `At most ${max}.` : `${min} to ${max}.`;
  const described = { description: range ? `${description} ${range}` : description, pattern };
  // YAML reads 0 as a number.
  const zero = lowest === 0 ? { type: ['string', 'integer'], minimum: 0, maximum: 0 } : {};
  return value({ ...described, ...zero }, (input) => {
    const parsed = parse(input);
    if ('problem' in parsed) return parsed;
    if (parsed.value === 0 && lowest === undefined) {
      return { problem: 'must be more than 0', fix: fixForZero ?? `write ${example} or more` };
    }
    if (lowest !== undefined && parsed.value < lowest) {
      return { problem: `"${input}" is too ${small}`, fix: `write at least ${min}` };
    }
    if (highest === undefined || parsed.value <= highest) return parsed;
    return {
      problem: `"${input}" is too ${large}`,
      fix: `write at most ${max}${reason ? ` (${reason})` : ''}`,
    };
  });
}

/** Reads a bound. @throws Error when it is a mistake in the schema */
function bound(
  spelling: string | undefined,
  parse: (input: unknown) => ParseResult<number>,
): number | undefined {
  if (spelling === undefined) return undefined;
  const parsed = parse(spelling);
  if ('problem' in parsed) throw new Error(`${parsed.problem}: ${parsed.fix}`);
  return parsed.value;
}

/** Makes a whole number from `min` to `max`. */
export function count(description: string, min: number, max: number): z.ZodType<number> {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, error).max(max, error).describe(description);
}

export function flag(description: string): z.ZodType<boolean | undefined> {
  return z
    .boolean({ error: 'must be true or false: write true or false, without quotes' })
    .optional()
    .describe(description);
}

/** Makes a choice of one of a few words. */
export function choice<const Words extends readonly [string, ...string[]]>(
  description: string,
  words: Words,
): z.ZodType<Words[number]> {
  return z.enum(words, { error: `must be ${words.join(' or ')}` }).describe(description);
}

/** Reports a problem of one key of a section, by its path from there. `fix` says what to write instead. */
export type Complain = (path: readonly PropertyKey[], problem: string, fix?: string) => void;

/** Makes a {@link Complain} of a transformation. The `params` of its issues have the problem and the fix separately. */
function complainTo({ issues }: z.core.ParsePayload, input: unknown): Complain {
  return (keyPath, problem, fix) => {
    const message = fix === undefined ? problem : `${problem}: ${fix}`;
    issues.push({ code: 'custom', message, params: { problem, fix }, input, path: [...keyPath] });
  };
}

/**
 * Makes a map of known keys, and turns it into what the plugin needs. Unknown keys are refused.
 *
 * @param example is what to write in place of something that is not a map
 * @param settle is called when each value is valid by itself; it returns undefined only after it complained
 */
export function section<Shape extends z.ZodRawShape, Settled>(
  shape: Shape,
  example: string,
  settle: (keys: z.output<z.ZodObject<Shape>>, complain: Complain) => Settled | undefined,
): z.ZodType<Settled> {
  const error = (issue: z.core.$ZodRawIssue) =>
    issue.code === 'unrecognized_keys'
      ? `has an unknown key: ${issue.keys.join(', ')}; known here: ${Object.keys(shape).join(', ')}`
      : `must be keys and values: write ${example}`;
  return z.strictObject(shape, { error }).transform((keys, context) => {
    return settle(keys as z.output<z.ZodObject<Shape>>, complainTo(context, keys)) ?? z.NEVER;
  });
}
