import type { StandardSchemaV1 } from '@standard-schema/spec';
import { idleCache } from './cache/complete.ts';
import { issueFaults } from './issues.ts';
import { PluginError, pluginFile } from './plugin-location.ts';
import { type ResolvedPlugin, resolvePlugin } from './plugins.ts';
import { causeOf, type Fault, overlaps, type Path } from './problems.ts';
import { type FilledOptions, fillSecrets, withholdSecrets } from './secrets.ts';
import { isObject, type JsonSchema, secretTexts, unknownKeys } from './unknown-keys.ts';

/** One entry of `authenticators` with its plugin, as far as it came. */
export interface PreparedAuthenticator {
  /** Undefined when it could not be loaded. */
  readonly resolved?: ResolvedPlugin;
  /** As the plugin's schema returned them; undefined when they are bad. */
  readonly options?: unknown;
  readonly secrets: readonly string[];
  readonly secretFiles: readonly string[];
  /** Of a plugin that is named by its path: that path, absolute, there or not. */
  readonly pluginFiles: readonly string[];
  readonly faults: readonly Fault[];
  /** What works, and is better changed. */
  readonly warnings: readonly Fault[];
}

interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly configFile: string;
  readonly baseDirectory: string;
}

const nothing: PreparedAuthenticator = { secrets: [], secretFiles: [], pluginFiles: [], faults: [], warnings: [] };

/**
 * Loads the plugin of an entry and validates its options, whatever else may be wrong with the entry: so all is
 * reported at once. What is not there or of the wrong kind is left to the schema of the file.
 *
 * @param entry as written
 */
export async function prepareAuthenticator(
  entry: unknown,
  index: number,
  around: Surroundings,
): Promise<PreparedAuthenticator> {
  const { name, use, options = {}, cache } = (entry ?? {}) as Record<string, unknown>;
  const path = ['authenticators', index];
  if (typeof use !== 'string' || use === '') return nothing;
  const filled = isObject(options) ? await fillSecrets(options, [...path, 'options'], around) : undefined;
  const file = pluginFile(use, around.configFile);
  const known = {
    secrets: filled?.secrets ?? [],
    secretFiles: filled?.files ?? [],
    pluginFiles: file === undefined ? [] : [file],
    warnings: [],
  };
  const secretFaults = attribute(filled?.faults ?? [], authenticatorTitle(name));
  try {
    const resolved = await resolvePlugin(use, around.configFile);
    const title = authenticatorTitle(name, resolved.package);
    const idle = idleCache(cache, resolved.plugin.caching);
    const early = [...secretFaults, ...attribute(idle ? [{ ...idle, path: [...path, 'cache'] }] : [], title)];
    if (filled === undefined) return { ...known, resolved, faults: early };
    const validated = await validateOptions(resolved, options, filled, [...path, 'options']);
    return {
      ...known,
      resolved,
      options: validated.options,
      faults: [...early, ...attribute(validated.faults, title)],
      warnings: attribute(writtenSecrets(resolved.optionsSchema, options, [...path, 'options']), title),
    };
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    const fault = { path: [...path, 'use'], message: error.message, mend: error.mend };
    return { ...known, faults: [...secretFaults, ...attribute([fault], authenticatorTitle(name))] };
  }
}

/** Finds secrets that are written in the file. They are accepted: a deployment's tool may write a private file. */
function writtenSecrets(schema: JsonSchema, options: unknown, path: Path): Fault[] {
  return secretTexts(schema, options, path).map((at) => ({
    path: at,
    message: 'is a secret that is written in this file: everyone who may read the file knows it',
    mend: 'write { file: PATH } or { env: NAME } in its place',
  }));
}

/** How an authenticator and its package are named in messages. */
export function authenticatorTitle(name: unknown, packageName?: string): string {
  const title = typeof name === 'string' ? `authenticator ${name}` : 'authenticator without a name';
  return packageName === undefined ? title : `${title} (${packageName})`;
}

function attribute(faults: readonly Fault[], title: string): Fault[] {
  return faults.map((fault) => ({ ...fault, message: `${title}: ${fault.message}` }));
}

interface ValidatedOptions {
  readonly options?: unknown;
  readonly faults: readonly Fault[];
}

async function validateOptions(
  { plugin, optionsSchema, package: packageName }: ResolvedPlugin,
  written: unknown,
  filled: FilledOptions,
  path: Path,
): Promise<ValidatedOptions> {
  const unknown = unknownKeys(optionsSchema, filled.options, path);
  const result = await validate(plugin.optionsSchema['~standard'], filled.options);
  if (!result.issues) return { options: result.value, faults: unknown };
  const issues = issueFaults(result.issues, path, unknown).filter(
    // What the schema says of a place where a secret is missing follows from that.
    (issue) => !filled.faults.some((fault) => overlaps(fault.path, issue.path)),
  );
  const faults = issues.map((fault) => {
    const missing = valueAt(written, fault.path.slice(path.length)) === undefined ? 'is missing: ' : '';
    const message = missing + withholdSecrets(fault.message, filled.secrets);
    return { ...fault, message, mend: `see the options of ${packageName}` };
  });
  return { faults: [...unknown, ...faults] };
}

async function validate(schema: StandardSchemaV1.Props, options: unknown): Promise<StandardSchemaV1.Result<unknown>> {
  try {
    return await schema.validate(options);
  } catch (error) {
    return { issues: [{ message: `its validation failed: ${causeOf(error)}` }] };
  }
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, step) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, step) : undefined),
    value,
  );
}
