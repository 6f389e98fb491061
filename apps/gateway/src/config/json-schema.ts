import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { isObject } from './problems.ts';
import { fileJsonSchema } from './schema.ts';
import type { JsonSchema } from './unknown-keys.ts';

type Json = Record<string, unknown>;

/** A plugin under the name that the config uses for it. */
export interface NamedPlugin {
  readonly use: string;
  readonly plugin: AuthenticatorPlugin<unknown>;
}

const secret: JsonSchema = {
  description: 'A secret, kept out of this file: { env: NAME } or { file: path }.',
  type: 'object',
  oneOf: [
    {
      properties: { env: { type: 'string', minLength: 1, description: 'An environment variable.' } },
      required: ['env'],
      additionalProperties: false,
    },
    {
      properties: { file: { type: 'string', minLength: 1, description: 'A file, its path relative to this one.' } },
      required: ['file'],
      additionalProperties: false,
    },
  ],
};

/**
 * The JSON Schema (draft 2020-12) of a whole gateway.yaml, for editors: the options of each plugin follow from `use`,
 * and each text in them may be a secret's reference instead. Plugins that are not named keep their options open.
 */
export function configJsonSchema(plugins: readonly NamedPlugin[]): JsonSchema {
  const schema = structuredClone(fileJsonSchema()) as Json & {
    properties: {
      authenticators: { items: Json & { properties: Json } };
      cache: { properties: { redis: Json } };
    };
  };
  schema.properties.cache.properties.redis = withSecrets(schema.properties.cache.properties.redis, '#', false);
  const authenticator = schema.properties.authenticators.items;
  const use = authenticator.properties.use as Json;
  authenticator.properties.use = { ...use, anyOf: [{ enum: plugins.map((plugin) => plugin.use) }, { type: 'string' }] };
  authenticator.allOf = plugins.map((plugin, index) => {
    const { required } = plugin.plugin.optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
    return {
      if: { properties: { use: { const: plugin.use } }, required: ['use'] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: {
        properties: { options: { $ref: `#/$defs/${definitionName(index)}` } },
        ...(Array.isArray(required) && required.length > 0 ? { required: ['options'] } : {}),
      },
    };
  });
  const definitions = plugins.map(({ plugin }, index) => [definitionName(index), optionsDefinition(plugin, index)]);
  return { title: 'Sallyport gateway.yaml', ...schema, $defs: { secret, ...Object.fromEntries(definitions) } };
}

function definitionName(index: number): string {
  return `plugin-${index}-options`;
}

function optionsDefinition(plugin: AuthenticatorPlugin<unknown>, index: number): Json {
  const { $schema: _, ...schema } = plugin.optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
  return withSecrets(schema, `#/$defs/${definitionName(index)}`, true);
}

/** Keywords that hold schemas: one, a list, or a map of them. `if`, `not` and `contains` are left out: they do not describe values. */
const single = ['items', 'additionalProperties', 'then', 'else'];
const lists = ['prefixItems', 'allOf', 'anyOf', 'oneOf'];
const maps = ['properties', 'patternProperties', '$defs'];

/**
 * @param root where the schema will be: its own references start with `#` and must lead there
 * @param literals whether a secret may be written out
 */
function withSecrets(schema: Json, root: string, literals: boolean): Json {
  if (schema.writeOnly === true && takesText(schema) && !literals) return { ...shown(schema), $ref: '#/$defs/secret' };
  const within = (inner: unknown) => (isObject(inner) ? withSecrets(inner, root, literals) : inner);
  const entries = Object.entries(schema).map(([keyword, value]): [string, unknown] => {
    if (keyword === '$ref' && typeof value === 'string') return ['$ref', value.replace(/^#/, root)];
    if (single.includes(keyword)) return [keyword, within(value)];
    // A reference fits each branch that takes text, so `oneOf` would refuse it.
    if (lists.includes(keyword) && Array.isArray(value)) {
      return [keyword === 'oneOf' ? 'anyOf' : keyword, value.map(within)];
    }
    if (maps.includes(keyword) && isObject(value)) {
      return [keyword, Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, within(inner)]))];
    }
    return [keyword, value];
  });
  const walked = Object.fromEntries(entries);
  return takesText(schema) ? orSecret(walked) : walked;
}

function takesText({ type, enum: values, const: constant }: Json): boolean {
  if (constant !== undefined) return false;
  if (type === undefined) return Array.isArray(values) && values.some((value) => typeof value === 'string');
  return type === 'string' || (Array.isArray(type) && type.includes('string'));
}

/** Title, description and default stay outside of `anyOf`, where editors read them. */
function orSecret({ title, description, default: preset, ...rest }: Json): Json {
  return { ...shown({ title, description, default: preset }), anyOf: [rest, { $ref: '#/$defs/secret' }] };
}

function shown(schema: unknown): Json {
  const { title, description, default: preset } = isObject(schema) ? schema : {};
  return Object.fromEntries(
    Object.entries({ title, description, default: preset }).filter(([, value]) => value !== undefined),
  );
}
