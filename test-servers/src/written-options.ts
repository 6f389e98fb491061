import { expect, test } from 'vitest';

/** The part of a zod schema that tests of options need. */
interface OptionsSchema<Options> {
  safeParse(written: unknown):
    | { readonly success: true; readonly data: Options }
    | {
        readonly success: false;
        readonly error: {
          readonly issues: readonly {
            readonly path: readonly PropertyKey[];
            readonly message: string;
          }[];
        };
      };
}

/** The options that a plugin gets for those of a config file. @throws Error with the complaints of the schema */
export function settleOptions<Options>(schema: OptionsSchema<Options>, written: unknown): Options {
  const result = schema.safeParse(written);
  if (result.success) return result.data;
  throw new Error(`the options are refused: ${complaintsAbout(schema, written).join('; ')}`);
}

/** The complaints of the schema, as `path.of.the.key: message`. */
export function complaintsAbout(schema: OptionsSchema<unknown>, written: unknown): string[] {
  const result = schema.safeParse(written);
  return result.success
    ? []
    : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

/** A whole complaint, the beginning of one with `…` behind it, or all complaints where there are several. */
type Refusal = string | RegExp | readonly string[];

/** Tests that each of these options is refused, with these complaints and no others. */
export function testRefusals<Written>(
  complaints: (written: Written) => readonly string[],
  rows: readonly (readonly [written: Written, refusal: Refusal])[],
): void {
  test.each(rows.map(([written, refusal]) => ({ written, refusal })))(
    'options are refused: $refusal',
    ({ written, refusal }) => {
      const all = typeof refusal === 'string' || refusal instanceof RegExp ? [refusal] : refusal;
      const expected = all.map((one) => {
        if (one instanceof RegExp) return expect.stringMatching(one);
        return one.endsWith('…') ? expect.stringContaining(one.slice(0, -1)) : one;
      });
      expect(complaints(written)).toEqual(expected);
    },
  );
}
