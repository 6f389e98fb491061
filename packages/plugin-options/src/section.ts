import { z } from 'zod';

/** Says what is wrong with one key of a section, by its path from there. */
export type Complain = (path: readonly PropertyKey[], message: string) => void;

/**
 * Keys and values, unknown keys refused, made what the plugin works with.
 *
 * @param example what to write, for when there are no keys and values
 * @param settle called when every value is good by itself; returns undefined only after it complained
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
    const complain: Complain = (path, message) => {
      context.issues.push({ code: 'custom', message, input: keys, path: [...path] });
    };
    return settle(keys as z.output<z.ZodObject<Shape>>, complain) ?? z.NEVER;
  });
}
