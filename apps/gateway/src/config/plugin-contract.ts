import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { PluginError } from './plugin-location.ts';
import { causeOf } from './problems.ts';
import { isObject, type JsonSchema } from './unknown-keys.ts';

const specificationVersion = 1;
const cachings: readonly unknown[] = ['none', 'memory', 'shared'];

/** A plugin that keeps the contract, as far as it can be seen without making an authenticator. */
export interface CheckedPlugin {
  readonly plugin: AuthenticatorPlugin<unknown>;
  /** What the plugin's options may look like, draft 2020-12. */
  readonly optionsSchema: JsonSchema;
}

const whatItMustBe = 'it must be an AuthenticatorPlugin of @sallyport/authenticator';

/**
 * Holds a module's default export to the contract.
 *
 * @throws PluginError with all that is missing
 */
export function checkPlugin(exported: unknown, packageName: string): CheckedPlugin {
  if (typeof exported !== 'object' || exported === null) {
    throw new PluginError(
      exported === undefined
        ? `${packageName} has no default export`
        : `the default export of ${packageName} is no plugin`,
      whatItMustBe,
    );
  }
  const plugin = exported as Partial<AuthenticatorPlugin<unknown>>;
  checkVersion(plugin.specificationVersion, packageName);
  refuseSchemaWithoutJson(plugin.optionsSchema, packageName);
  const wrong = [
    ...(typeof plugin.name === 'string' && /^[a-z][a-z0-9_]*$/.test(plugin.name) ? [] : ['name (a lowercase word)']),
    ...(isSchema(plugin.optionsSchema) ? [] : ['optionsSchema (a Standard Schema that is a Standard JSON Schema too)']),
    ...(cachings.includes(plugin.caching) ? [] : [`caching (${cachings.join(', ')})`]),
    ...(typeof plugin.create === 'function' ? [] : ['create (a function)']),
    ...(['undefined', 'function'].includes(typeof plugin.createTokenIssuer)
      ? []
      : ['createTokenIssuer (a function, or left out)']),
  ];
  if (wrong.length > 0) {
    throw new PluginError(
      `the default export of ${packageName} lacks ${wrong.join(', ')}`,
      'see AuthenticatorPlugin in @sallyport/authenticator; an upgrade of the package may bring it',
    );
  }
  const whole = plugin as AuthenticatorPlugin<unknown>;
  return { plugin: whole, optionsSchema: describeOptions(whole, packageName) };
}

function checkVersion(version: unknown, packageName: string): void {
  if (version === specificationVersion) return;
  if (version === undefined) {
    const message = `the default export of ${packageName} is no plugin: it has no specificationVersion`;
    throw new PluginError(message, whatItMustBe);
  }
  const upgrade =
    Number(version) > specificationVersion
      ? `upgrade the gateway, or take an older ${packageName}`
      : `upgrade ${packageName}`;
  throw new PluginError(
    `the plugin of ${packageName} has specificationVersion ${JSON.stringify(version)}, this gateway wants ${specificationVersion}`,
    Number.isInteger(version) ? upgrade : `write specificationVersion: ${specificationVersion}`,
  );
}

/** A schema that validates, but can't be shown to editors, nor searched for unknown keys. */
function refuseSchemaWithoutJson(schema: unknown, packageName: string): void {
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

/** Duck typing: the plugin may come with any library, and from JavaScript. */
function isSchema(schema: unknown): boolean {
  const standard = (schema as AuthenticatorPlugin<unknown>['optionsSchema'] | undefined)?.['~standard'];
  return (
    standard?.version === 1 &&
    typeof standard.validate === 'function' &&
    typeof standard.jsonSchema?.input === 'function'
  );
}

function describeOptions(plugin: AuthenticatorPlugin<unknown>, packageName: string): JsonSchema {
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
