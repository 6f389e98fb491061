import type { StandardSchemaV1 } from '@standard-schema/spec';
import { idleCache } from './cache/lifetimes.ts';
import { PluginError, pluginFile } from './plugin-location.ts';
import { type ResolvedPlugin, resolvePlugin } from './plugins.ts';
import { causeOf, isObject, issueProblems, overlaps, type Path, type Problem, valueAt } from './problems.ts';
import { type FilledOptions, fillSecrets, withholdSecrets } from './secrets.ts';
import { type JsonSchema, secretTexts, unknownKeys } from './unknown-keys.ts';

/** One entry of `authenticators` with its plugin, as far as it could be loaded. */
export interface PreparedAuthenticator {
  /** Its index in the file. */
  readonly index: number;
  /** Undefined when it could not be loaded. */
  readonly resolved?: ResolvedPlugin;
  /** As the plugin's schema returned them; undefined when they are bad. */
  readonly options?: unknown;
  readonly secrets: readonly string[];
  readonly secretFiles: readonly string[];
  /** The path of a plugin that is named by its path, absolute, whether it exists or not. */
  readonly pluginFiles: readonly string[];
  readonly problems: readonly Problem[];
  /** What works but should be changed. */
  readonly warnings: readonly Problem[];
}

interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly configFile: string;
  readonly baseDirectory: string;
}

/**
 * Loads the plugin of an entry and validates its options, whatever else may be wrong with the entry, so that everything is
 * reported at once. Values that are missing or of the wrong type are left to the schema of the file.
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
  if (typeof use !== 'string' || use === '') {
    return { index, secrets: [], secretFiles: [], pluginFiles: [], problems: [], warnings: [] };
  }
  const filled = isObject(options) ? await fillSecrets(options, [...path, 'options'], around) : undefined;
  const file = pluginFile(use, around.configFile);
  const known = {
    index,
    secrets: filled?.secrets ?? [],
    secretFiles: filled?.files ?? [],
    pluginFiles: file === undefined ? [] : [file],
    warnings: [],
  };
  const secretProblems = attribute(filled?.problems ?? [], authenticatorTitle(name));
  try {
    const resolved = await resolvePlugin(use, around.configFile);
    const title = authenticatorTitle(name, resolved.package);
    const idle = idleCache(cache, resolved.plugin.caching);
    const early = [...secretProblems, ...attribute(idle ? [{ ...idle, path: [...path, 'cache'] }] : [], title)];
    if (filled === undefined) return { ...known, resolved, problems: early };
    const validated = await validateOptions(resolved, options, filled, [...path, 'options']);
    return {
      ...known,
      resolved,
      options: validated.options,
      problems: [...early, ...attribute(validated.problems, title)],
      warnings: attribute(writtenSecrets(resolved.optionsSchema, options, [...path, 'options']), title),
    };
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    const problem = { path: [...path, 'use'], message: error.message, fix: error.fix };
    return { ...known, problems: [...secretProblems, ...attribute([problem], authenticatorTitle(name))] };
  }
}

/** Finds secrets that are written in the file. They are accepted: a deployment's tool may write a private file. */
function writtenSecrets(schema: JsonSchema, options: unknown, path: Path): Problem[] {
  return secretTexts(schema, options, path).map((at) => ({
    path: at,
    message: 'is a secret that is written in this file: everyone who may read the file knows it',
    fix: 'write { file: PATH } or { env: NAME } in its place',
  }));
}

/** How an authenticator and its package are named in messages. */
export function authenticatorTitle(name: unknown, packageName?: string): string {
  const title = typeof name === 'string' ? `authenticator ${name}` : 'authenticator without a name';
  return packageName === undefined ? title : `${title} (${packageName})`;
}

function attribute(problems: readonly Problem[], title: string): Problem[] {
  return problems.map((problem) => ({ ...problem, message: `${title}: ${problem.message}` }));
}

interface ValidatedOptions {
  readonly options?: unknown;
  readonly problems: readonly Problem[];
}

async function validateOptions(
  { plugin, optionsSchema, package: packageName }: ResolvedPlugin,
  written: unknown,
  filled: FilledOptions,
  path: Path,
): Promise<ValidatedOptions> {
  const unknown = unknownKeys(optionsSchema, filled.options, path);
  const result = await validate(plugin.optionsSchema['~standard'], filled.options);
  if (!result.issues) return { options: result.value, problems: unknown };
  const issues = issueProblems(result.issues, path, unknown).filter(
    // What the schema says of a missing secret follows from that.
    (issue) => !filled.problems.some((problem) => overlaps(problem.path, issue.path)),
  );
  const problems = issues.map((problem) => {
    const missing = valueAt(written, problem.path.slice(path.length)) === undefined ? 'is missing: ' : '';
    const words = problem.fix === undefined ? problem.message : `${problem.message}: ${problem.fix}`;
    const message = missing + withholdSecrets(words, filled.secrets);
    return { ...problem, message, fix: `see the options of ${packageName}` };
  });
  return { problems: [...unknown, ...problems] };
}

async function validate(schema: StandardSchemaV1.Props, options: unknown): Promise<StandardSchemaV1.Result<unknown>> {
  try {
    return await schema.validate(options);
  } catch (error) {
    return { issues: [{ message: `its validation failed: ${causeOf(error)}` }] };
  }
}
