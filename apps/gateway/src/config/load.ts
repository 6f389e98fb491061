import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { completeAuthenticators, prepareAuthenticator } from './authenticators.ts';
import { addExample } from './examples.ts';
import { addSecretProblems, fillFile } from './file-secrets.ts';
import { loginNameProblems } from './login-names.ts';
import {
  ConfigError,
  type ConfigProblem,
  isObject,
  issueProblems,
  overlaps,
  type Path,
  type ProblemWords,
  valueAt,
  wording,
} from './problems.ts';
import { mebibyte, readText, UnusableFileError } from './read-text.ts';
import { checkRules } from './rules.ts';
import { type FileConfig, fileJsonSchema, fileSchema } from './schema.ts';
import type { JsonSchema } from './schema-parts.ts';
import { findVariables, withVariables } from './unexpanded.ts';
import { findKey, unknownKeys, withoutEffects } from './unknown-keys.ts';
import { unlikelyValues } from './unlikely.ts';
import { parseYaml, type YamlSource } from './yaml.ts';

/** A config is written by hand: a bigger file is the wrong file. */
const configFileLimit = mebibyte;

/**
 * Reads a whole gateway.yaml: its text, its secrets, its plugins and their options. Nothing is started.
 *
 * @param file as messages name it; relative to the working folder, or absolute
 * @param environment for `{ env: NAME }`
 * @throws ConfigError with everything that is wrong
 */
export async function loadConfig(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
) {
  const configFile = resolve(file);
  const baseDirectory = dirname(configFile);
  const { source, digest } = await readSource(file, configFile);
  const entries = Array.isArray(source.value.authenticators) ? source.value.authenticators : [];
  const sources = { environment, configFile, baseDirectory };
  const prepared = await Promise.all(
    entries.map((entry, index) => prepareAuthenticator(entry, index, sources)),
  );
  const filledFile = await fillFile(source.value, sources);
  const secretFiles = [
    ...new Set([...prepared.flatMap((entry) => entry.secretFiles), ...filledFile.files]),
  ];
  const pluginFiles = [...new Set(prepared.flatMap((entry) => entry.pluginFiles))];
  const optionsSchemas = prepared.map(({ resolved }) => resolved?.optionsSchema);
  const parsed = parseFile(filledFile.value, optionsSchemas);
  const variables = findVariables(source.value);
  const problems = withVariables(
    [
      ...addSecretProblems(parsed.problems, filledFile, source.value, baseDirectory),
      ...prepared.flatMap((entry) => entry.problems),
      ...loginNameProblems(source.value, prepared),
    ],
    variables,
  );
  if (problems.length > 0 || parsed.config === undefined) {
    const byPlace = (a: ConfigProblem, b: ConfigProblem) =>
      (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
    throw new ConfigError(problems.map(source.locate).sort(byPlace), [
      configFile,
      ...secretFiles,
      ...pluginFiles,
    ]);
  }
  const { cache, ...settings } = parsed.config;
  return {
    ...withAbsolutePaths(settings, baseDirectory),
    cache,
    /** The authenticators in the order in which they are asked. Never empty. */
    authenticators: completeAuthenticators(parsed.config, prepared, source.locate, baseDirectory),
    /** The absolute path of the config file. */
    file: configFile,
    /** Where relative paths start: the folder of `file`. */
    baseDirectory,
    /** The first 12 hexadecimal digits of the SHA-256 of the file. */
    digest,
    /** Files named by `{ file }`, absolute: a change of one is a change of the config. */
    secretFiles,
    /** Plugins that are named by path, absolute. */
    pluginFiles,
    /** Problems that do not keep the gateway from starting. */
    warnings: [
      ...[filledFile, ...prepared].flatMap(({ warnings }) => warnings),
      ...unlikelyValues(settings, source.value),
      ...variables,
    ].map(source.locate),
    /** The warnings of `check` that are expected. */
    acknowledgements: settings.check.acknowledge.map((entry, index) => ({
      ...entry,
      /** Makes a problem of the entry. */
      problem: (words: ProblemWords) =>
        source.locate({ path: ['check', 'acknowledge', index], ...words }),
    })),
    /** Adds the line and column to a problem of a value. */
    locate: source.locate,
    /** Whether a secret is written in it. */
    hasSecrets: prepared.some((entry) => entry.hasSecrets),
  };
}

/** A GatewayConfig is a whole gateway.yaml, valid and complete. Paths of files that the gateway reads itself are absolute. */
export type GatewayConfig = Awaited<ReturnType<typeof loadConfig>>;

async function readSource(file: string, configFile: string) {
  const text = await readText(configFile, configFileLimit).catch((error: unknown) => {
    if (!(error instanceof UnusableFileError)) throw error;
    const { reason } = error;
    const fileInFolder = resolve(configFile, 'gateway.yaml');
    const pathFix = existsSync(fileInFolder) ? `name the file in it: ${fileInFolder}` : nameConfig;
    const fix = error.isWrongPath ? pathFix : error.fix;
    throw new ConfigError([{ file, path: '', message: reason, fix }], [configFile]);
  });
  const source = parseYaml(file, text);
  if ('problems' in source) throw new ConfigError(source.problems, [configFile]);
  const otherKind = describeOtherFile(source.value);
  if (otherKind !== undefined)
    throw new ConfigError([{ file, path: '', ...otherKind }], [configFile]);
  return { source, digest: hash('sha256', text, 'hex').slice(0, 12) };
}

const nameConfig =
  'name a gateway.yaml with --config or SALLYPORT_CONFIG, or create one with the command init';

/** Describes a file of another program that is in the place of a gateway.yaml. */
function describeOtherFile(value: YamlSource['value']): ProblemWords | undefined {
  if (value.authenticators !== undefined) return undefined;
  if (Array.isArray(value.tokens)) return { message: 'is a file of tokens', fix: nameConfig };
  if (value.apiVersion === undefined || typeof value.kind !== 'string') return undefined;
  const isMap = value.kind === 'ConfigMap' || value.kind === 'Secret';
  const message = `is a Kubernetes object (kind: ${value.kind}), and not a gateway.yaml`;
  return { message, fix: isMap ? 'give the text of its key gateway.yaml alone' : nameConfig };
}

/** Resolves the paths of files that the gateway reads itself. Files of a Redis and of plugins go to `watchFile`. */
function withAbsolutePaths<Part>(value: Part, base: string): Part {
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([key, value]) => {
    const isPath = typeof value === 'string' && /^(file|logo)$|File$/.test(key);
    return [key, isPath ? resolve(base, value) : withAbsolutePaths(value, base)];
  });
  return Object.fromEntries(entries);
}

/**
 * Finds unknown keys, wrong values and broken rules, all in one run. A rule that needs a wrong value is not checked.
 *
 * @param optionsSchemas of the plugin of each authenticator, as far as it could be loaded
 * @returns no config if a value is not valid by itself
 */
export function parseFile(
  value: YamlSource['value'],
  optionsSchemas: readonly (JsonSchema | undefined)[] = [],
) {
  const result = fileSchema.safeParse(value, wording);
  // The schema refuses unknown keys by itself. The search takes as long as the rest: it finds all of them, and what was meant.
  const schema = fileJsonSchema();
  const unknownKeyProblems = result.success
    ? []
    : unknownKeys(schema, value, [], (path) => findKey(schema, path, optionsSchemas));
  const problems = [
    ...unknownKeyProblems,
    ...issueProblems(result.error?.issues ?? [], [], unknownKeyProblems),
  ];
  const isValid = (path: Path) => !problems.some((problem) => overlaps(problem.path, path));
  // safeParse returns nothing when a value is wrong, but `_zod.run` also returns what it has read of the others.
  const values =
    result.data ??
    (fileSchema._zod.run({ value, issues: [] }, { async: false }) as { value: FileConfig }).value;
  return {
    config: result.data as FileConfig | undefined,
    problems: withoutEffects(
      [
        ...problems.map((problem) => addExample(schema, problem, valueAt(value, problem.path))),
        ...checkRules(values, value, isValid),
      ],
      unknownKeyProblems,
      (path) => valueAt(value, path) !== undefined,
    ),
  };
}
