import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import {
  builtInWords,
  gatewayManifest,
  installedWords,
  locatePlugin,
  PluginError,
  type PluginLocation,
  packageOf,
} from './plugin-location.ts';
import { describeOptions, isSchema, refuseSchemaWithoutJson } from './plugin-schema.ts';
import { causeOf, isObject, nearest } from './problems.ts';
import type { JsonSchema } from './unknown-keys.ts';

/** A plugin that keeps the contract, as far as it can be checked without creating an authenticator. */
interface CheckedPlugin {
  readonly plugin: AuthenticatorPlugin<unknown>;
  /** Describes the plugin's options, draft 2020-12. */
  readonly optionsSchema: JsonSchema;
}

/** A plugin that can create authenticators. */
export interface ResolvedPlugin extends CheckedPlugin {
  /** As in the config: a bare word, a package name or a path. */
  readonly use: string;
  /** The package it came from, or the absolute path of its file. */
  readonly package: string;
  /** SHA-256 of the code that this process runs: of its file and, for a package, of the manifest, which has its version. */
  readonly digest: string;
}

/**
 * Finds a plugin, imports it and checks it against the contract. Node evaluates a module once in a process: new code of a
 * plugin needs a restart.
 *
 * @param use a bare word, a package name or a path, as in gateway.yaml
 * @param configFile absolute
 * @throws PluginError with what is wrong and how to fix it
 */
export async function resolvePlugin(use: string, configFile: string): Promise<ResolvedPlugin> {
  const location = await locateOrSuggest(use, configFile);
  const checked = checkPlugin(await importDefault(location), location.package);
  return { use, package: location.package, digest: await digestOf(location), ...checked };
}

/**
 * The plugins that come with the gateway: its own manifest depends on them, so that no code names one.
 *
 * @throws PluginError when one of them can't be used: then the gateway itself is badly installed
 */
export async function builtInPlugins(): Promise<readonly ResolvedPlugin[]> {
  return Promise.all(builtInWords().map((use) => resolvePlugin(use, gatewayManifest)));
}

async function locateOrSuggest(use: string, configFile: string): Promise<PluginLocation> {
  try {
    return await locatePlugin(use, configFile);
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    const words = await installedWords(configFile);
    const near = nearest(use, words) ?? nearest(use, words.map(packageOf));
    if (near === undefined || near === use) throw error;
    throw new PluginError(error.message, `did you mean ${near}? Else ${error.fix}`);
  }
}

async function importDefault({ package: name, url }: PluginLocation): Promise<unknown> {
  try {
    const module: { default?: unknown } = await import(url);
    return module.default;
  } catch (error) {
    const { name: kind = '', code = '' } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
    const isCommonJs = kind === 'ReferenceError' && /^(module|exports|require) is not defined/.test(causeOf(error));
    throw new PluginError(
      `${name} can't be imported: ${kind && `${kind}: `}${causeOf(error)}`,
      isCommonJs ? asModule : (importFixes[code] ?? 'fix it, and restart the gateway'),
    );
  }
}

const importFixes: Readonly<Record<string, string>> = {
  ERR_MODULE_NOT_FOUND: 'install its dependencies, and restart the gateway',
  ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING: 'a package must ship JavaScript: build it before it is installed',
  ERR_UNKNOWN_FILE_EXTENSION: 'name a .js or .ts file',
};

/** By URL. The digest is that of the code at its first import: what is on disk later is not what this process runs. */
const digests = new Map<string, Promise<string>>();

function digestOf({ url, isPackage }: PluginLocation): Promise<string> {
  const digest = digests.get(url) ?? digestNow(url, isPackage);
  digests.set(url, digest);
  // A file that could not be read for a moment is read again at the next reload.
  digest.catch(() => digests.delete(url));
  return digest;
}

async function digestNow(url: string, isPackage: boolean): Promise<string> {
  const hash = createHash('sha256').update(await readFile(fileURLToPath(url)));
  // The manifest beside a file is the deployment's: it says nothing of the file.
  const manifest = isPackage ? findPackageJSON(url) : undefined;
  if (manifest !== undefined) hash.update(await readFile(manifest));
  return hash.digest('base64url');
}

const specificationVersion = 1;
const cachings: readonly unknown[] = ['none', 'memory', 'shared'];

const whatItMustBe = 'it must be an AuthenticatorPlugin of @sallyport/authenticator';

/**
 * Checks a module's default export against the contract.
 *
 * @throws PluginError with all that is missing
 */
function checkPlugin(exported: unknown, packageName: string): CheckedPlugin {
  if (typeof exported !== 'object' || exported === null) {
    throw new PluginError(
      exported === undefined
        ? `${packageName} has no default export`
        : `the default export of ${packageName} is not a plugin`,
      whatItMustBe,
    );
  }
  const plugin = exported as Partial<AuthenticatorPlugin<unknown>>;
  refuseCommonJs(exported, packageName);
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

const asModule = 'publish an ES module: "type": "module" in its package.json, and `export default plugin` in its code';

/** An import gives `module.exports` as the default: with `exports.default`, as compilers write it, the plugin is in that. */
function refuseCommonJs(exported: object, packageName: string): void {
  const { default: inner, specificationVersion } = exported as { default?: unknown; specificationVersion?: unknown };
  if (specificationVersion !== undefined || !isObject(inner)) return;
  throw new PluginError(
    `the default export of ${packageName} is a CommonJS module, with the plugin in its exports.default`,
    asModule,
  );
}

function checkVersion(version: unknown, packageName: string): void {
  if (version === specificationVersion) return;
  if (version === undefined) {
    const message = `the default export of ${packageName} is not a plugin: it has no specificationVersion`;
    throw new PluginError(message, whatItMustBe);
  }
  const upgrade =
    Number(version) > specificationVersion
      ? `upgrade the gateway, or take an older ${packageName}`
      : `upgrade ${packageName}`;
  throw new PluginError(
    `the plugin of ${packageName} has specificationVersion ${JSON.stringify(version)}, this gateway needs ${specificationVersion}`,
    Number.isInteger(version) ? upgrade : `write specificationVersion: ${specificationVersion}`,
  );
}
