import type { CaseDefinition, Kit } from '../kit.ts';
import { fail, outcomeOf, verify } from '../verify.ts';

type JsonSchema = Readonly<Record<string, unknown>>;

const isMap = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const howToWrite = 'write z.strictObject({ … }), or what is like it in your library.';

/** Says what is wrong with a schema that the gateway can't load, and how to fix it. @returns undefined for a valid one */
export function schemaProblem(
  schema: unknown,
): { readonly got: string; readonly fix: string } | undefined {
  const inner = isMap(schema) ? schema : {};
  const standard = isMap(inner['~standard']) ? inner['~standard'] : {};
  const { version, validate, jsonSchema } = standard;
  const { vendor = isMap(inner._def) ? 'zod' : undefined } = standard;
  if (
    version === 1 &&
    typeof validate === 'function' &&
    isMap(jsonSchema) &&
    typeof jsonSchema.input === 'function'
  ) {
    return undefined;
  }
  if (vendor === 'zod') {
    const fix = "Use zod 4.2 or later, and import it from 'zod', not from 'zod/v3'.";
    return { got: 'it is a schema of an old zod, which makes no JSON Schema', fix };
  }
  if (typeof vendor === 'string') {
    const fix =
      'Use a version that implements Standard JSON Schema, or another library, such as zod from 4.2 on.';
    return { got: `it is a schema of ${vendor} that makes no JSON Schema`, fix };
  }
  return {
    got: 'it is not a Standard Schema',
    fix: 'Use a library that implements both, such as zod from 4.2 on.',
  };
}

async function jsonSchemaOf(
  { harness, show }: Kit,
  expected: string,
  why: string,
): Promise<JsonSchema> {
  const problem = schemaProblem(harness.plugin.optionsSchema);
  if (problem !== undefined) return fail({ expected, got: problem.got, why: problem.fix });
  const { jsonSchema } = harness.plugin.optionsSchema['~standard'];
  const made = await outcomeOf(() => jsonSchema.input({ target: 'draft-2020-12' }));
  return 'value' in made
    ? made.value
    : fail({ expected, got: `it threw ${show(made.error)}`, why });
}

/** A schema within the one of the options. */
interface Part {
  readonly schema: JsonSchema;
  /** The path is empty for the options themselves. */
  readonly path: string;
  readonly isTop: boolean;
  /** The schemas that this one is in: one that is in itself has been looked at. */
  readonly above: readonly JsonSchema[];
}

/**
 * Finds the maps that have known keys and take others too. A map that knows no key, such as one of labels, is meant to be
 * free; the options themselves are not.
 */
function openPlaces(root: JsonSchema, { schema, path, isTop, above }: Part): readonly string[] {
  const parts = together(schema, root);
  if (parts.some((part) => above.includes(part))) return [];
  const within = (inner: unknown, at: string, isSame = false) =>
    isMap(inner)
      ? openPlaces(root, {
          schema: inner,
          path: at,
          isTop: isTop && isSame,
          above: [...above, ...parts],
        })
      : [];
  const known = parts.flatMap(({ properties }) =>
    isMap(properties) ? Object.entries(properties) : [],
  );
  const free = parts.flatMap(({ additionalProperties, patternProperties }) => [
    ...(additionalProperties === true ? [{}] : [additionalProperties]),
    ...(isMap(patternProperties) ? Object.values(patternProperties) : []),
  ]);
  const takesMore = free.some(isMap);
  const keyed = (key: string) => (path === '' ? key : `${path}.${key}`);
  return [
    ...(takesMore && (isTop || known.length > 0) ? [path] : []),
    ...known.flatMap(([key, inner]) => within(inner, keyed(key))),
    ...free.flatMap((inner) => within(inner, keyed('*'))),
    ...parts.flatMap(({ anyOf, oneOf }) =>
      [...list(anyOf), ...list(oneOf)].flatMap((one) => within(one, path, true)),
    ),
    ...parts.flatMap(({ items, prefixItems }) =>
      [items, ...list(prefixItems)].flatMap((inner) => within(inner, `${path}[]`)),
    ),
  ];
}

/** Returns a schema with all that applies together with it: what it refers to in the root, and the members of `allOf`. */
function together(
  schema: JsonSchema,
  root: JsonSchema,
  above: readonly JsonSchema[] = [],
): readonly JsonSchema[] {
  if (above.includes(schema)) return [];
  const inner = [...list(schema.allOf), referredTo(schema.$ref, root)].filter(isMap);
  return [schema, ...inner.flatMap((one) => together(one, root, [...above, schema]))];
}

/** Finds what a reference such as `#/$defs/name`, or `#` for the root, refers to. */
function referredTo(reference: unknown, root: JsonSchema): unknown {
  if (typeof reference !== 'string' || !reference.startsWith('#')) return undefined;
  const steps = decodeURIComponent(reference).split('/').slice(1);
  return steps.reduce<unknown>(
    (found, step) =>
      isMap(found) ? found[step.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined,
    root,
  );
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

export const schemaCases: readonly CaseDefinition[] = [
  {
    name: 'optionsSchema describes the options as a JSON Schema',
    async run(kit) {
      const why = `Editors complete gateway.yaml from it, and the gateway finds misspelt keys by its properties: ${howToWrite}`;
      const expected = 'jsonSchema.input() to give a schema of type object with properties';
      const schema = await jsonSchemaOf(kit, expected, why);
      const { type, properties } = schema;
      verify(type === 'object' && isMap(properties), {
        expected,
        got: `it gave ${kit.show(schema)}`,
        why,
      });
      const missing = Object.keys(Object(kit.harness.options)).filter(
        (key) => !Object.hasOwn(properties, key),
      );
      const got = `${missing.join(', ')} of the good options is not among them`;
      verify(missing.length === 0, { expected: 'every option to be among properties', got, why });
    },
  },
  {
    name: 'optionsSchema accepts no key that it does not name',
    async run(kit) {
      const why = `A misspelt option is then ignored without a message: ${howToWrite}`;
      const expected = 'optionsSchema to name every key that it takes';
      const schema = await jsonSchemaOf(kit, expected, why);
      const open = openPlaces(schema, { schema, path: '', isTop: true, above: [] });
      const got = open
        .map((place) => (place === '' ? 'the options take any key' : `${place} takes any key`))
        .join(', ');
      verify(open.length === 0, { expected, got, why });
    },
  },
];
