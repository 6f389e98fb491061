import { fileURLToPath } from 'node:url';
import { nearest } from './nearest.ts';
import { type CheckedPlugin, checkPlugin } from './plugin-contract.ts';
import { runningEdition } from './plugin-edition.ts';
import {
  builtInWords,
  installedWords,
  locatePlugin,
  PluginError,
  type PluginLocation,
  packageOf,
  pluginFile,
} from './plugin-location.ts';
import { causeOf } from './problems.ts';

/** A plugin, ready to make authenticators. */
export interface ResolvedPlugin extends CheckedPlugin {
  /** As the config says it: a bare word, a package name or a path. */
  readonly use: string;
  /** The package it came from, or the absolute path of its file. */
  readonly package: string;
  /** Tells its code from other code under the same `use`: the version of its package, or a digest of its file. */
  readonly edition: string;
  /** There is other code of it on disk by now: that one runs after a restart. */
  readonly needsRestart: boolean;
}

const manifest = new URL('../../package.json', import.meta.url);

/**
 * Finds a plugin, imports it and holds it to the contract. A module is evaluated once in a process: an edited plugin
 * needs a restart.
 *
 * @param use a bare word, a package name or a path, as in gateway.yaml
 * @param configFile absolute
 * @throws PluginError with what is wrong and how to fix it
 */
export async function resolvePlugin(use: string, configFile: string): Promise<ResolvedPlugin> {
  const location = await locateOrSuggest(use, configFile);
  const checked = checkPlugin(await importDefault(location), location.package);
  const { digest, version, needsRestart } = await runningEdition(location.url);
  // The manifest beside a file is the deployment's: its version says nothing of the file.
  const edition = pluginFile(use, configFile) === undefined ? (version ?? digest) : digest;
  return { use, package: location.package, edition, needsRestart, ...checked };
}

/**
 * The plugins that come with the gateway: those its own manifest depends on, so that no code names one.
 *
 * @throws PluginError when one of them can't be used: then the gateway itself is badly installed
 */
export async function builtInPlugins(): Promise<readonly ResolvedPlugin[]> {
  const gateway = fileURLToPath(manifest);
  return Promise.all((await builtInWords()).map((use) => resolvePlugin(use, gateway)));
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
    throw new PluginError(
      `${name} can't be imported: ${kind && `${kind}: `}${causeOf(error)}`,
      importFixes[code] ?? 'fix it, and restart the gateway',
    );
  }
}

const importFixes: Readonly<Record<string, string>> = {
  ERR_MODULE_NOT_FOUND: 'install its dependencies, and restart the gateway',
  ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING: 'a package must ship JavaScript: build it before it is installed',
  ERR_UNKNOWN_FILE_EXTENSION: 'name a .js or .ts file',
};
