import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { PluginError } from './plugin-location.ts';
import { causeOf, isObject } from './problems.ts';
import { type JsonSchema, unknownKeys } from './unknown-keys.ts';

/** Refuses a schema that validates, but has no JSON Schema for editors and for the search for unknown keys. */
export function refuseSchemaWithoutJson(schema: unknown, packageName: string): void {
  if (isSchema(schema) || !isObject(schema)) return;
  const standard = isObject(schema['~standard']) ? schema['~standard'] : {};
  const { vendor = isObject(schema._def) ? 'zod' : undefined } = standard;
  if (typeof vendor !== 'string') return;
  if (vendor === 'zod') {
    throw new PluginError(
      `the optionsSchema of ${packageName} comes from an old zod, which makes no JSON Schema`,
      'use zod 4.2 or later',
    );
  }
  throw new PluginError(
    `the optionsSchema of ${packageName} makes no JSON Schema`,
    `its library (${vendor}) must implement Standard JSON Schema: upgrade it, or use another`,
  );
}

/** Checks the shape only: the plugin may use any library, and be written in JavaScript. */
export function isSchema(schema: unknown): boolean {
  const standard = (schema as AuthenticatorPlugin<unknown>['optionsSchema'] | undefined)?.['~standard'];
  return (
    standard?.version === 1 &&
    typeof standard.validate === 'function' &&
    typeof standard.jsonSchema?.input === 'function'
  );
}

/**
 * Describes the options of a plugin as JSON Schema.
 *
 * @throws PluginError when the schema can't be written as one, or has no names for the keys that it takes
 */
export function describeOptions(plugin: AuthenticatorPlugin<unknown>, packageName: string): JsonSchema {
  const schema = writeSchema(plugin, packageName);
  // If a key that no plugin has is not unknown, then a misspelt one is not either.
  if (unknownKeys(schema, { 'a key that no plugin has': true }, []).length > 0) return schema;
  throw new PluginError(
    `the optionsSchema of ${packageName} takes any key, so that a misspelt option would be ignored without a message`,
    'name each option: z.strictObject({ … }) in place of z.looseObject, z.record or z.any, or what is like it in its library',
  );
}

function writeSchema(plugin: AuthenticatorPlugin<unknown>, packageName: string): JsonSchema {
  try {
    const schema: unknown = plugin.optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
    if (isObject(schema)) return schema;
    throw new Error('it is no object');
  } catch (error) {
    throw new PluginError(
      `the optionsSchema of ${packageName} can't be written as JSON Schema: ${causeOf(error)}`,
      'its input must be what YAML can hold: text, numbers, true and false, lists and maps',
    );
  }
}
