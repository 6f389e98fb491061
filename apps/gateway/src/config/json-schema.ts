import { isMarkedMap } from './file-secrets.ts';
import type { ResolvedPlugin } from './plugins.ts';
import { isObject } from './problems.ts';
import { fileJsonSchema } from './schema.ts';
import type { JsonSchema } from './schema-parts.ts';

type Json = Record<string, unknown>;

const reference = (key: string, description: string) => ({
  properties: { [key]: { type: 'string', minLength: 1, description } },
  required: [key],
  additionalProperties: false,
});

const secret: JsonSchema = {
  description: 'A secret, kept out of this file: { env: NAME } or { file: path }.',
  type: 'object',
  oneOf: [
    reference('env', 'An environment variable.'),
    reference('file', 'A file, its path relative to this one.'),
  ],
};

/**
 * Makes the JSON Schema (draft 2020-12) of a whole gateway.yaml, for editors. The options of each plugin follow from `use`, and each text
 * in them may be the reference of a secret instead. Plugins that are not in `plugins` may have any options.
 */
export function configJsonSchema(
  plugins: readonly Pick<ResolvedPlugin, 'use' | 'plugin'>[],
): JsonSchema {
  const schema = withReferences(fileJsonSchema(), fileTerms) as Json & {
    properties: { authenticators: { items: Json & { properties: Json } } };
  };
  const authenticator = schema.properties.authenticators.items;
  const use = authenticator.properties.use as Json;
  authenticator.properties.use = {
    ...use,
    anyOf: [{ enum: plugins.map((plugin) => plugin.use) }, { type: 'string' }],
  };
  const described = plugins.map(({ use, plugin }, index) => {
    const { $schema: _, ...options } = plugin.optionsSchema['~standard'].jsonSchema.input({
      target: 'draft-2020-12',
    });
    return {
      use,
      options,
      name: `plugin-${index}-options`,
      root: `#/$defs/plugin-${index}-options`,
    };
  });
  authenticator.allOf = described.map(({ use, options: { required }, root }) => ({
    if: { properties: { use: { const: use } }, required: ['use'] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: {
      properties: { options: { $ref: root } },
      ...(Array.isArray(required) && required.length > 0 ? { required: ['options'] } : {}),
    },
  }));
  const definitions = described.map(({ name, options, root }) => [
    name,
    withReferences(options, { root, isMap: true, allowsLiterals: true }),
  ]);
  return {
    title: 'Sallyport gateway.yaml',
    ...schema,
    $defs: { secret, ...Object.fromEntries(definitions) },
  };
}

/** Keywords whose values are schemas, and maps of schemas. `if`, `not` and `contains` are left out, since they do not describe values. */
const holders = ['items', 'additionalProperties', 'then', 'else', 'prefixItems', 'allOf', 'anyOf'];
const maps = ['properties', 'patternProperties', '$defs'];

interface ReferenceTerms {
  /** Where the schema will be: its own references start with `#` and must lead there. */
  readonly root: string;
  /** Whether each text may be a reference, as in a marked map. */
  readonly isMap: boolean;
  /** Whether a secret may be written out. */
  readonly allowsLiterals: boolean;
}

const fileTerms: ReferenceTerms = { root: '#', isMap: false, allowsLiterals: false };

/** Adds that a text may be a reference: all texts, or those that the schema marks. */
function withReferences(schema: Json, terms: ReferenceTerms): Json {
  const isMap = terms.isMap || isMarkedMap(schema);
  // Title, description and default stay outside of `anyOf`, where editors read them.
  const shown = Object.fromEntries(
    ['title', 'description', 'default'].flatMap((key) =>
      key in schema ? [[key, schema[key]]] : [],
    ),
  );
  if (schema.writeOnly === true && takesText(schema) && !terms.allowsLiterals)
    return { ...shown, $ref: '#/$defs/secret' };
  const add = (inner: unknown) =>
    isObject(inner) ? withReferences(inner, { ...terms, isMap }) : inner;
  const entries = Object.entries(schema).map(([keyword, value]): [string, unknown] => {
    if (keyword === '$ref' && typeof value === 'string')
      return ['$ref', value.replace(/^#/, terms.root)];
    // A reference fits each branch that takes text, so `oneOf` would refuse it.
    if (keyword === 'oneOf' && Array.isArray(value)) return ['anyOf', value.map(add)];
    if (holders.includes(keyword))
      return [keyword, Array.isArray(value) ? value.map(add) : add(value)];
    if (!maps.includes(keyword) || !isObject(value)) return [keyword, value];
    return [
      keyword,
      Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, add(inner)])),
    ];
  });
  if (!isMap || !takesText(schema)) return Object.fromEntries(entries);
  const constraints = entries.filter(([keyword]) => !(keyword in shown));
  return { ...shown, anyOf: [Object.fromEntries(constraints), { $ref: '#/$defs/secret' }] };
}

function takesText({ type, enum: values, const: constant }: Json): boolean {
  if (constant !== undefined) return false;
  if (type === undefined)
    return Array.isArray(values) && values.some((value) => typeof value === 'string');
  return type === 'string' || (Array.isArray(type) && type.includes('string'));
}
