import { readdir, stat } from 'node:fs/promises';
import { createRequire, registerHooks } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { manifest } from '../base/package-files.ts';
import { FixableError, nearest } from './problems.ts';

/** A PluginError says why a plugin can't be used, and how to fix that. */
export class PluginError extends FixableError {
  override readonly name = 'PluginError';
}

/** A PluginLocation says where the code of a plugin is. `package` is for messages: its name, or the absolute path of the file. */
export type PluginLocation = Awaited<ReturnType<typeof locatePlugin>>;

/** The name of the package of a bare word begins with this. */
const prefix = '@sallyport/authenticator-';

const word = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** Matches names by npm's rule, with an optional scope and subpath. */
const packageName = /^(@[a-z0-9-~][a-z0-9-._~]*\/)?[a-z0-9-~][a-z0-9-._~]*(\/[^/]+)*$/;

/**
 * Finds the code that `use` names: a bare word is the package `@sallyport/authenticator-WORD`, `./path` a file next to
 * the config file, anything else a package's own name. Packages are searched from the config file's folder, then
 * from the gateway, so a deployment's own version wins. The path of the config file is absolute.
 *
 * @throws PluginError when it does not exist
 */
export async function locatePlugin(use: string, configFile: string) {
  const file = pluginFile(use, configFile);
  if (file !== undefined) {
    const stats = await stat(file).catch(() => undefined);
    if (stats?.isFile()) return { package: file, url: pathToFileURL(file).href, isPackage: false };
    throw new PluginError(
      `there is no file ${file}`,
      'name a file; its path starts at the folder of the config file',
    );
  }
  const name = word.test(use) ? prefix + use : use;
  const isName = packageName.test(name);
  const parents = isName ? [pathToFileURL(configFile).href, import.meta.url] : [];
  for (const parent of parents) {
    const url = resolveFrom(name, parent);
    if (url !== undefined) return { package: name, url, isPackage: true };
  }
  const message = isName
    ? `the package ${name} is not installed`
    : `${JSON.stringify(use)} is not the name of a plugin`;
  throw new PluginError(message, await adviseMissing(use, configFile));
}

/** Proposes no package that is not installed: anyone can publish one under a mistyped name, and it decides who gets in. */
async function adviseMissing(use: string, configFile: string): Promise<string> {
  const words = await installedWords(configFile);
  const near =
    nearest(use, words) ??
    nearest(
      use,
      words.map((word) => prefix + word),
    );
  const installed = `choose an installed plugin (${words.join(', ')}), a file (./plugin.js)`;
  const advice = `${installed}, or a package from a publisher you trust (@scope/name), installed in ${dirname(configFile)}`;
  return near === undefined || near === use ? advice : `did you mean ${near}? If not, ${advice}`;
}

/** Returns the words that a config in this folder can use, and those that come with the gateway, in alphabetical order. */
async function installedWords(configFile: string): Promise<string[]> {
  const searched = createRequire(configFile).resolve.paths(prefix) ?? [];
  const packages = await Promise.all(searched.map(packagesIn));
  return [...new Set([...listWords(packages.flat()), ...builtInWords()])].sort();
}

/** Returns the plugins that come with the gateway: its own manifest depends on them, so that no code names one. */
export function builtInWords(): string[] {
  return listWords(Object.keys(manifest.dependencies));
}

async function packagesIn(nodeModules: string): Promise<string[]> {
  const scope = dirname(prefix);
  const names = await readdir(join(nodeModules, scope)).catch(() => []);
  return names.map((name) => `${scope}/${name}`);
}

function listWords(packages: readonly string[]): string[] {
  return packages
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}

/** Returns the absolute path of a plugin that is named by its path, whether it exists or not. Undefined for a package. */
export function pluginFile(use: string, configFile: string): string | undefined {
  return /^(\.{1,2})?\//.test(use) ? resolve(dirname(configFile), use) : undefined;
}

/**
 * Resolves an import as in the file `parent`; undefined when no such package is installed. `import.meta.resolve` ignores
 * a parent that is passed to it, and `createRequire` misses packages made for `import` alone: so a hook sets the parent.
 */
function resolveFrom(name: string, parent: string): string | undefined {
  const marker = 'sallyport:plugin';
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      specifier === marker
        ? next(name, { ...context, parentURL: parent })
        : next(specifier, context),
  });
  try {
    return import.meta.resolve(marker);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_MODULE_NOT_FOUND') return undefined;
    const problem = `the package ${name} is installed but can't be imported: ${message}`;
    throw new PluginError(problem, 'its "exports" must lead to an ES module');
  } finally {
    hooks.deregister();
  }
}
