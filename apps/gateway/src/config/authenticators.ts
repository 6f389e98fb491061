import { hash } from 'node:crypto';
import { isAbsolute, resolve } from 'node:path';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { completeCache, idleCache } from './cache/lifetimes.ts';
import { findSecretTexts } from './file-secrets.ts';
import { PluginError, pluginFile } from './plugin-location.ts';
import { type ResolvedPlugin, resolvePlugin } from './plugins.ts';
import {
  describeCause,
  describeError,
  isObject,
  issueProblems,
  kinds,
  onOneLine,
  type Path,
  type Problem,
  valueAt,
} from './problems.ts';
import { concurrencyLimits, queueLimit } from './rules.ts';
import { type FileConfig, fileJsonSchema } from './schema.ts';
import {
  type FilledSecrets,
  fillSecrets,
  type SecretSources,
  secretAdvice,
  withholdSecrets,
  withoutSecrets,
} from './secrets.ts';
import { findEntryKey, unknownKeys, withoutEffects } from './unknown-keys.ts';
import type { YamlSource } from './yaml.ts';

/** A PreparedAuthenticator is an entry of `authenticators` with its plugin, as far as it could be loaded. */
export type PreparedAuthenticator = Awaited<ReturnType<typeof prepareAuthenticator>>;

/**
 * Loads the plugin of an entry and validates its options, even if other parts of the entry are wrong, so that everything is
 * reported in one run. Values that are missing or of the wrong type are left to the schema of the file.
 */
export async function prepareAuthenticator(
  entry: unknown,
  index: number,
  sources: SecretSources & { /** Absolute. */ readonly configFile: string },
) {
  const { name, use: useText, options = {}, cache } = (entry ?? {}) as Record<string, unknown>;
  const use = typeof useText === 'string' ? useText : '';
  const path = ['authenticators', index];
  const optionsPath = [...path, 'options'];
  const writtenOptions = use !== '' && isObject(options) ? options : {};
  const filledOptions = await fillSecrets(writtenOptions, optionsPath, sources);
  const prepared = {
    /** Undefined when it could not be loaded. */
    resolved: undefined,
    /** The options as the plugin's schema returned them; undefined if they are not valid. */
    options: undefined,
    secrets: filledOptions.secrets,
    secretFiles: filledOptions.files,
    /** The absolute path of a plugin that is named by its path, whether it exists or not. */
    pluginFiles: [pluginFile(use, sources.configFile)].filter((file) => file !== undefined),
    problems: attribute(filledOptions.problems, authenticatorTitle(name)),
    /** Problems that do not keep the gateway from starting. */
    warnings: attribute(filledOptions.warnings, authenticatorTitle(name)),
    /** Whether a secret is written in the file. */
    hasSecrets: false,
  };
  if (use === '') return prepared;
  try {
    const resolved = await resolvePlugin(use, sources.configFile);
    const title = authenticatorTitle(name, resolved.package);
    const validated = await validateOptions(resolved, options, filledOptions, optionsPath);
    const idle = idleCache(cache, resolved.plugin.caching, [...path, 'cache']);
    const writtenSecrets = findWrittenSecrets(resolved, options, optionsPath);
    return {
      ...prepared,
      resolved,
      options: validated.options,
      problems: [...prepared.problems, ...attribute([...idle, ...validated.problems], title)],
      warnings: [...prepared.warnings, ...attribute(writtenSecrets, title)],
      hasSecrets: writtenSecrets.length > 0,
    };
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    const problem = { path: [...path, 'use'], message: error.problem, fix: error.fix };
    return {
      ...prepared,
      problems: [...prepared.problems, ...attribute([problem], authenticatorTitle(name))],
    };
  }
}

/** Finds secrets that are written in the file. They are accepted: a deployment's tool may write a private file. */
function findWrittenSecrets(
  { optionsSchema }: ResolvedPlugin,
  options: unknown,
  path: Path,
): Problem[] {
  return findSecretTexts(optionsSchema, options, path).map((textPath) => ({
    path: textPath,
    message: 'is a secret that is written in this file: everyone who may read the file knows it',
    fix: secretAdvice,
  }));
}

/** Names an authenticator and its package in messages. */
export function authenticatorTitle(name: unknown, packageName?: string): string {
  const title = typeof name === 'string' ? `authenticator ${name}` : 'authenticator without a name';
  return packageName === undefined ? title : `${title} (${packageName})`;
}

function attribute(problems: readonly Problem[], title: string): Problem[] {
  return problems.map((problem) => ({ ...problem, message: `${title}: ${problem.message}` }));
}

const withheld = "the plugin's message is hidden because it contains a secret";
const refused = `is refused; ${withheld}`;

/** Validates options. @param rawOptions the options with references in place of secrets */
async function validateOptions(
  { plugin, optionsSchema, package: packageName }: ResolvedPlugin,
  rawOptions: unknown,
  filledOptions: FilledSecrets,
  path: Path,
) {
  if (!isObject(rawOptions)) return { options: undefined, problems: [] };
  const unknownKeyProblems = unknownKeys(optionsSchema, filledOptions.value, path, (keyPath) =>
    keyPath.length === path.length + 1 ? findEntryKey(fileJsonSchema(), keyPath) : undefined,
  );
  const result = await Promise.resolve(filledOptions.value)
    .then((value) => plugin.optionsSchema['~standard'].validate(value))
    .catch((error: unknown): StandardSchemaV1.FailureResult => {
      return { issues: [{ message: `its validation failed: ${describeCause(error)}` }] };
    });
  if (!result.issues) return { options: result.value, problems: unknownKeyProblems };
  const issues = withoutSecrets(
    issueProblems(result.issues, path, unknownKeyProblems),
    filledOptions,
    refused,
  );
  const isWritten = (keyPath: Path) =>
    valueAt(rawOptions, keyPath.slice(path.length)) !== undefined;
  const problems = issues.map((problem) => {
    const [, words = problem.message, fix] = /^(.+): (write .+)$/s.exec(problem.message) ?? [];
    return {
      ...problem,
      message: isWritten(problem.path) ? words : wordMissing(words),
      fix: problem.fix ?? fix ?? proposeWord(words) ?? `see the options of ${packageName}`,
    };
  });
  return {
    options: undefined,
    problems: [...unknownKeyProblems, ...withoutEffects(problems, unknownKeyProblems, isWritten)],
  };
}

/** Proposes one of the words that an option takes. The schema of the plugin does not repeat what is written. */
function proposeWord(words: string): string | undefined {
  const [, word] = /^must be ([\w-]+) or [\w -]+$/.exec(words) ?? [];
  if (word !== undefined) return `write one of these, such as ${word}`;
  const [, soleWord] = /^must be ([\w-]+)$/.exec(words) ?? [];
  return soleWord && `write ${soleWord}`;
}

/** Words a missing value. @param words the words of the schema. Zod's say in its own terms that the value is missing */
function wordMissing(words: string): string {
  // The fix says what to write.
  if (/^(is missing$|must be (a string|a secret|a list|keys and values)$)/.test(words))
    return 'is missing';
  const [, kind = ''] = /^Invalid input: expected (\w+), received undefined$/.exec(words) ?? [];
  return kind === '' ? `is missing: ${words}` : `is missing: it must be ${kinds[kind] ?? kind}`;
}

/** The fix for a name in `login.authenticators`. */
export const passwordsAdvice =
  'write the name of an authenticator that checks passwords, such as one with use: ldap';

/** Adds what follows from several values, and the validated options of plugins. @param prepared has the same order */
export function completeAuthenticators(
  { authenticators, server, cache, login }: FileConfig,
  prepared: readonly PreparedAuthenticator[],
  locate: YamlSource['locate'],
  baseDirectory: string,
) {
  const limits = concurrencyLimits(authenticators, server.maxInFlight);
  const maxWaiting = queueLimit(limits, server.maxInFlight);
  return authenticators.flatMap((settings, index) => {
    const { resolved, options, secrets = [] } = prepared[index] ?? {};
    if (resolved === undefined) return [];
    const { plugin, package: from } = resolved;
    const title = authenticatorTitle(settings.name, from);
    return {
      ...settings,
      /** The groups of the token that the identity policy lets pass: none where the groups of a directory replace them. */
      groups:
        settings.directory?.groups === 'replace'
          ? { ...settings.groups, allow: [] }
          : settings.groups,
      /** The package it was loaded from, for messages. */
      package: from,
      plugin,
      /** The options as the plugin's schema returned them, with secrets. They are never logged. */
      options,
      maxConcurrent: limits[index] ?? 1,
      /** How many lookups may wait for one of `maxConcurrent`. */
      maxWaiting,
      cache: completeCache(
        settings.cache,
        plugin.caching,
        cache,
        settings.name === login?.sessions,
      ),
      fingerprint: makeFingerprint(settings.name, resolved, settings.options),
      /** Returns what its plugin says, or that it quotes a secret of its options and is withheld. */
      withhold: (words: string) => withholdSecrets(words, secrets, withheld),
      /**
       * Makes a problem of what its plugin threw, with the names of the authenticator and its package. Its place is the option whose
       * file the message begins with, otherwise the authenticator. A message that quotes a secret of its options, or one of
       * `otherSecrets`, is withheld.
       */
      problem: (
        cause: unknown,
        failure = "can't be made",
        otherSecrets: readonly string[] = [],
      ) => {
        const words = describeError(cause);
        const isQuoting =
          withholdSecrets(onOneLine(words), [...secrets, ...otherSecrets], '') === '';
        const { message, fix } = isQuoting ? { message: withheld } : words;
        const filePath = pathOfFile({ options: settings.options }, message, baseDirectory);
        const path = ['authenticators', index, ...filePath];
        return locate({ path, message: `${title} ${failure}: ${message}`, fix });
      },
      /** Makes a problem of why no user can be looked up in its directory, at the name of that. */
      directoryProblem: (message: string) =>
        locate({
          path: ['authenticators', index, 'directory', 'authenticator'],
          message: `${title}: ${message}`,
          fix: 'write the name of an authenticator that can look users up, such as one with use: ldap',
        }),
      /** Makes a problem of why it can't check the ID tokens of a provider, at a key of that in `login.providers`. */
      providerProblem: (
        provider: string,
        key: 'authenticator' | 'issuer' | 'clientId',
        message: string,
        fix: string,
      ) =>
        locate({
          path: ['login', 'providers', provider, key],
          message: `${title} ${message}`,
          fix,
        }),
      /** Makes a problem of why it can't log anyone in, at its name in `login.authenticators`. */
      loginProblem: (reason: string) =>
        locate({
          path: ['login', 'authenticators', login?.authenticators.indexOf(settings.name) ?? 0],
          message: `${title} can't log anyone in: ${reason}`,
          fix: passwordsAdvice,
        }),
    };
  });
}

/** Finds the option whose file a message begins with: its plugin has read the file by itself. Empty: there is no such option. */
function pathOfFile(options: object, message: string, baseDirectory: string): Path {
  for (const [key, value] of Object.entries(options)) {
    const step = Array.isArray(options) ? Number(key) : key;
    if (typeof value === 'string' && message.startsWith(`${resolve(baseDirectory, value)} `))
      return [step];
    const innerPath =
      typeof value === 'object' && value !== null ? pathOfFile(value, message, baseDirectory) : [];
    if (innerPath.length > 0) return [step, ...innerPath];
  }
  return [];
}

/**
 * Makes the part of a cache key that separates the answers of one configuration of an authenticator from the answers of
 * another. Every replica makes the same of one config, wherever the config is: a plugin that is a file counts by its
 * `use` and its content, not by its path.
 *
 * @param options as written, with references in place of secrets: a renewed password makes no other configuration
 * @returns SHA-256, base64url
 */
export function makeFingerprint(
  name: string,
  plugin: Pick<ResolvedPlugin, 'use' | 'package' | 'digest'>,
  options: unknown,
): string {
  const { use, digest } = plugin;
  const origin = isAbsolute(plugin.package) ? use : plugin.package;
  return hash('sha256', canonical({ name, use, package: origin, digest, options }), 'base64url');
}

/** Writes JSON with the keys of each map in one order. Numbers that JSON can't write, such as NaN, differ from null. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value === 'number') return String(value);
  if (!isObject(value)) return JSON.stringify(value);
  const entries = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${entries.join()}}`;
}
