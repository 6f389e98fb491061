import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { packagePath } from '../base/package-files.ts';
import { builtInWords, locatePlugin, PluginError, type PluginLocation } from './plugin-location.ts';
import { describeCause, isObject } from './problems.ts';
import type { JsonSchema } from './schema-parts.ts';
import { unknownKeys } from './unknown-keys.ts';

/** A ResolvedPlugin keeps the contract, as far as that can be checked without creating an authenticator. */
export type ResolvedPlugin = Awaited<ReturnType<typeof resolvePlugin>>;

/**
 * Finds a plugin, imports it and checks it against the contract. Node evaluates a module once in a process: new code of a
 * plugin needs a restart.
 *
 * @throws PluginError with what is wrong and how to fix it
 */
export async function resolvePlugin(use: string, configFile: string) {
  const location = await locatePlugin(use, configFile);
  const plugin = checkPlugin(await importDefault(location), location.package);
  return {
    use,
    /** The package it came from, or the absolute path of its file. */
    package: location.package,
    plugin,
    /** The JSON Schema of the plugin's options, draft 2020-12. */
    optionsSchema: describeOptions(plugin, location.package),
    /** SHA-256 of the code that this process runs: of its file and, for a package, of the manifest, which has its version. */
    digest: await hashOnce(location),
  };
}

/** Returns the plugins that come with the gateway. @throws PluginError when the gateway itself is badly installed */
export async function builtInPlugins(): Promise<readonly ResolvedPlugin[]> {
  return Promise.all(builtInWords().map((use) => resolvePlugin(use, packagePath('package.json'))));
}

const asModule =
  'publish an ES module: "type": "module" in its package.json, and `export default plugin` in its code';

async function importDefault({ package: name, url }: PluginLocation): Promise<unknown> {
  try {
    const module: { default?: unknown } = await import(url);
    return module.default;
  } catch (error) {
    const { name: kind = '', code = '' } =
      error instanceof Error ? (error as NodeJS.ErrnoException) : {};
    const message = `${name} can't be imported: ${kind && `${kind}: `}${describeCause(error)}`;
    const isCommonJs = /: (module|exports|require) is not defined/.test(message);
    throw new PluginError(
      message,
      isCommonJs ? asModule : (importFixes[code] ?? 'fix it, and restart the gateway'),
    );
  }
}

const importFixes: Readonly<Record<string, string>> = {
  ERR_MODULE_NOT_FOUND: 'install its dependencies, and restart the gateway',
  ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING:
    'build the package before you install it: it must contain JavaScript',
  ERR_UNKNOWN_FILE_EXTENSION: 'name a .js or .ts file',
};

/** The digests of code by its URL. Each is from the first import: what is on disk later is not what this process runs. */
const digests = new Map<string, Promise<string>>();

function hashOnce({ url, isPackage }: PluginLocation): Promise<string> {
  const digest = digests.get(url) ?? hashCode(url, isPackage);
  digests.set(url, digest);
  // A file that could not be read for a moment is read again at the next reload.
  digest.catch(() => digests.delete(url));
  return digest;
}

async function hashCode(url: string, isPackage: boolean): Promise<string> {
  const hash = createHash('sha256').update(await readFile(fileURLToPath(url)));
  // The manifest next to a file belongs to the deployment, and says nothing about the file.
  const manifest = isPackage ? findPackageJSON(url) : undefined;
  if (manifest !== undefined) hash.update(await readFile(manifest));
  return hash.digest('base64url');
}

const specificationVersion = 1;

const cachings: readonly unknown[] = ['none', 'memory', 'shared'];

type PluginExport = { readonly [Key in keyof AuthenticatorPlugin<unknown>]?: unknown };

/** The members that an export of the right version must have. A plugin may use any library, and be written in JavaScript. */
const requirements: readonly (readonly [string, isMet: (exported: PluginExport) => boolean])[] = [
  [
    'name (a lowercase word)',
    ({ name }) => typeof name === 'string' && /^[a-z][a-z0-9_]*$/.test(name),
  ],
  [
    'optionsSchema (a Standard Schema that is a Standard JSON Schema too, such as those of zod from 4.2 on)',
    ({ optionsSchema }) =>
      isSchema(optionsSchema as AuthenticatorPlugin<unknown>['optionsSchema'] | undefined),
  ],
  ['caching (none, memory, shared)', ({ caching }) => cachings.includes(caching)],
  ['create (a function)', ({ create }) => typeof create === 'function'],
  [
    'createTokenIssuer (a function, or left out)',
    ({ createTokenIssuer: make }) => make === undefined || typeof make === 'function',
  ],
];

function isSchema(schema: AuthenticatorPlugin<unknown>['optionsSchema'] | undefined): boolean {
  const { version, validate, jsonSchema } = schema?.['~standard'] ?? {};
  return version === 1 && typeof validate === 'function' && typeof jsonSchema?.input === 'function';
}

function checkPlugin(exported: unknown, packageName: string): AuthenticatorPlugin<unknown> {
  const { specificationVersion: version, default: inner } = (exported ?? {}) as PluginExport & {
    default?: unknown;
  };
  const title = `the default export of ${packageName}`;
  if (exported === undefined) {
    throw new PluginError(
      `${packageName} has no default export`,
      'write `export default plugin` in its code',
    );
  }
  if (version === undefined) {
    // An import gives `module.exports` as the default: as compilers write it, the plugin is in `exports.default`.
    if (isObject(inner))
      throw new PluginError(
        `${title} is a CommonJS module, with the plugin in its exports.default`,
        asModule,
      );
    const fix = 'export an AuthenticatorPlugin of @sallyport/authenticator';
    throw new PluginError(`${title} is not a plugin: it has no specificationVersion`, fix);
  }
  if (version !== specificationVersion) {
    throw new PluginError(
      `the plugin of ${packageName} has specificationVersion ${JSON.stringify(version)}, this gateway needs ${specificationVersion}`,
      `upgrade the gateway or ${packageName}, whichever has the lower number`,
    );
  }
  const unmet = requirements
    .filter(([, isMet]) => !isMet(exported as PluginExport))
    .map(([requirement]) => requirement);
  if (unmet.length === 0) return exported as AuthenticatorPlugin<unknown>;
  const fix = 'see AuthenticatorPlugin in @sallyport/authenticator, or upgrade the package';
  throw new PluginError(`${title} lacks ${unmet.join(', ')}`, fix);
}

function describeOptions(plugin: AuthenticatorPlugin<unknown>, packageName: string): JsonSchema {
  const schema = writeSchema(plugin, packageName);
  // If a key that no plugin has is not unknown, then a misspelt one is not either.
  if (unknownKeys(schema, { 'a key that no plugin has': true }, []).length > 0) return schema;
  throw new PluginError(
    `the optionsSchema of ${packageName} takes any key, so that a misspelt option would be ignored without a message`,
    'name each option: write z.strictObject({ … }) instead of z.looseObject, z.record or z.any, or the same in another library',
  );
}

function writeSchema(plugin: AuthenticatorPlugin<unknown>, packageName: string): JsonSchema {
  try {
    const schema: unknown = plugin.optionsSchema['~standard'].jsonSchema.input({
      target: 'draft-2020-12',
    });
    if (isObject(schema)) return schema;
    throw new Error('it is not an object');
  } catch (error) {
    throw new PluginError(
      `the optionsSchema of ${packageName} can't be written as JSON Schema: ${describeCause(error)}`,
      'let its input be what YAML can contain: strings, numbers, true and false, lists and maps',
    );
  }
}
