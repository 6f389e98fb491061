import type { CaseDefinition, Kit } from '../kit.ts';
import { catchOutcome, fail, verify } from '../verify.ts';

type JsonSchema = Readonly<Record<string, unknown>>;

const isMap = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const howToWrite = 'write z.strictObject({ … }), or what is like it in your library.';

/** Says what is wrong with a schema that the gateway can't load, and how to fix it. @returns undefined for a valid one */
export function schemaProblem(
  schema: unknown,
): { readonly actual: string; readonly fix: string } | undefined {
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
    return { actual: 'it is a schema of an old zod, which makes no JSON Schema', fix };
  }
  if (typeof vendor === 'string') {
    const fix =
      'Use a version that implements Standard JSON Schema, or another library, such as zod from 4.2 on.';
    return { actual: `it is a schema of ${vendor} that makes no JSON Schema`, fix };
  }
  return {
    actual: 'it is not a Standard Schema',
    fix: 'Use a library that implements both, such as zod from 4.2 on.',
  };
}

async function makeJsonSchema(
  { harness, show }: Kit,
  expected: string,
  rationale: string,
): Promise<JsonSchema> {
  const problem = schemaProblem(harness.plugin.optionsSchema);
  if (problem !== undefined)
    return fail({ expected, actual: problem.actual, rationale: problem.fix });
  const { jsonSchema } = harness.plugin.optionsSchema['~standard'];
  const generated = await catchOutcome(() => jsonSchema.input({ target: 'draft-2020-12' }));
  return 'value' in generated
    ? generated.value
    : fail({ expected, actual: `it threw ${show(generated.error)}`, rationale });
}

/** A schema within the one of the options. */
interface SchemaNode {
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
function openPlaces(
  root: JsonSchema,
  { schema, path, isTop, above }: SchemaNode,
): readonly string[] {
  const schemas = collectSchemas(schema, root);
  if (schemas.some((node) => above.includes(node))) return [];
  const within = (inner: unknown, innerPath: string, isSame = false) =>
    isMap(inner)
      ? openPlaces(root, {
          schema: inner,
          path: innerPath,
          isTop: isTop && isSame,
          above: [...above, ...schemas],
        })
      : [];
  const namedProperties = schemas.flatMap(({ properties }) =>
    isMap(properties) ? Object.entries(properties) : [],
  );
  const free = schemas.flatMap(({ additionalProperties, patternProperties }) => [
    ...(additionalProperties === true ? [{}] : [additionalProperties]),
    ...(isMap(patternProperties) ? Object.values(patternProperties) : []),
  ]);
  const takesMore = free.some(isMap);
  const keyed = (key: string) => (path === '' ? key : `${path}.${key}`);
  return [
    ...(takesMore && (isTop || namedProperties.length > 0) ? [path] : []),
    ...namedProperties.flatMap(([key, inner]) => within(inner, keyed(key))),
    ...free.flatMap((inner) => within(inner, keyed('*'))),
    ...schemas.flatMap(({ anyOf, oneOf }) =>
      [...list(anyOf), ...list(oneOf)].flatMap((alternative) => within(alternative, path, true)),
    ),
    ...schemas.flatMap(({ items, prefixItems }) =>
      [items, ...list(prefixItems)].flatMap((inner) => within(inner, `${path}[]`)),
    ),
  ];
}

/** Returns a schema with all that applies together with it: what it refers to in the root, and the members of `allOf`. */
function collectSchemas(
  schema: JsonSchema,
  root: JsonSchema,
  above: readonly JsonSchema[] = [],
): readonly JsonSchema[] {
  if (above.includes(schema)) return [];
  const inner = [...list(schema.allOf), resolveReference(schema.$ref, root)].filter(isMap);
  return [
    schema,
    ...inner.flatMap((innerSchema) => collectSchemas(innerSchema, root, [...above, schema])),
  ];
}

/** Finds what a reference such as `#/$defs/name`, or `#` for the root, refers to. */
function resolveReference(reference: unknown, root: JsonSchema): unknown {
  if (typeof reference !== 'string' || !reference.startsWith('#')) return undefined;
  const steps = decodeURIComponent(reference).split('/').slice(1);
  return steps.reduce<unknown>(
    (node, step) =>
      isMap(node) ? node[step.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined,
    root,
  );
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

export const schemaCases: readonly CaseDefinition[] = [
  {
    name: 'optionsSchema describes the options as a JSON Schema',
    async run(kit) {
      const rationale = `Editors complete gateway.yaml from it, and the gateway finds misspelt keys by its properties: ${howToWrite}`;
      const expected = 'jsonSchema.input() to give a schema of type object with properties';
      const schema = await makeJsonSchema(kit, expected, rationale);
      const { type, properties } = schema;
      verify(type === 'object' && isMap(properties), {
        expected,
        actual: `it gave ${kit.show(schema)}`,
        rationale,
      });
      const missingKeys = Object.keys(Object(kit.harness.options)).filter(
        (key) => !Object.hasOwn(properties, key),
      );
      const actual = `${missingKeys.join(', ')} of the good options is not among them`;
      verify(missingKeys.length === 0, {
        expected: 'every option to be among properties',
        actual,
        rationale,
      });
    },
  },
  {
    name: 'optionsSchema accepts no key that it does not name',
    async run(kit) {
      const rationale = `A misspelt option is then ignored without a message: ${howToWrite}`;
      const expected = 'optionsSchema to name every key that it takes';
      const schema = await makeJsonSchema(kit, expected, rationale);
      const open = openPlaces(schema, { schema, path: '', isTop: true, above: [] });
      const actual = open
        .map((place) => (place === '' ? 'the options take any key' : `${place} takes any key`))
        .join(', ');
      verify(open.length === 0, { expected, actual, rationale });
    },
  },
];
