import { createHash } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { completeCache } from './cache/complete.ts';
import { fillCache, withFilledProblems } from './cache/written-secrets.ts';
import type { AuthenticatorSettings, FileConfig, TlsSettings } from './file-config.ts';
import { parseFile } from './file-parse.ts';
import { fingerprint } from './fingerprint.ts';
import { lookupPlaces, waitingPlaces } from './lookup-places.ts';
import { authenticatorTitle, type PreparedAuthenticator, prepareAuthenticator } from './plugin-options.ts';
import { ConfigError, type ConfigProblem, causeOf, overlaps, type Path } from './problems.ts';
import { readText, UnusableFileError } from './read-text.ts';
import { withholdSecrets } from './secrets.ts';
import type { AuditConfig, AuthenticatorConfig, GatewayConfig, TlsConfig } from './types.ts';
import { parseYaml, type YamlSource } from './yaml-source.ts';

/** A config is written by hand: a bigger file is the wrong file. */
const configFileLimit = 1024 * 1024;

/**
 * Reads a whole gateway.yaml: its text, its secrets, its plugins and their options. Nothing is started.
 *
 * @param file as messages shall name it; relative to the working folder, or absolute
 * @param environment for `{ env: NAME }`
 * @throws ConfigError with everything that is wrong
 */
export async function loadConfig(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<GatewayConfig> {
  const configFile = resolve(file);
  const baseDirectory = dirname(configFile);
  const { source, digest } = await readSource(file, configFile);
  const entries = Array.isArray(source.value.authenticators) ? source.value.authenticators : [];
  const around = { environment, configFile, baseDirectory };
  const prepared = await Promise.all(entries.map((entry, index) => prepareAuthenticator(entry, index, around)));
  const filled = await fillCache(source.value, around);
  const secretFiles = [...new Set([...prepared.flatMap((one) => one.secretFiles), ...filled.files])];
  const pluginFiles = [...new Set(prepared.flatMap((one) => one.pluginFiles))];
  const parsed = parseFile(filled.value);
  const problems = [...withFilledProblems(parsed.problems, filled), ...prepared.flatMap((one) => one.problems)];
  const settings = parsed.config ?? parsed.rest;
  const files = { file: configFile, baseDirectory, digest, secretFiles, pluginFiles };
  const isFaulty = (...path: Path) => problems.some((problem) => overlaps(problem.path, path));
  const usable = prepared.flatMap((one, index) => (isFaulty('authenticators', index) ? [] : [{ ...one, index }]));
  const config = settings && complete(settings, usable, files, source);
  if (problems.length === 0 && config !== undefined) return config;
  throw new ConfigError(
    problems.map(source.locate).sort(byPlace),
    [configFile, ...secretFiles, ...pluginFiles],
    config && withoutFaulty(config, isFaulty),
  );
}

type Files = Pick<GatewayConfig, 'file' | 'baseDirectory' | 'digest' | 'secretFiles' | 'pluginFiles'>;

/** An authenticator without errors, and its index in the list. */
type UsableAuthenticator = PreparedAuthenticator & { readonly index: number };

function complete(
  settings: FileConfig,
  usable: readonly UsableAuthenticator[],
  files: Files,
  source: YamlSource,
): GatewayConfig {
  const { server, admin, cache, lockout, audit, provenance, tracing, log } = settings;
  const { tls, ...rest } = server;
  const { baseDirectory } = files;
  const { redis, ...lifetimes } = cache;
  return {
    ...files,
    server: tls === undefined ? rest : { ...rest, tls: completeTls(tls, baseDirectory) },
    admin,
    authenticators: completeAuthenticators(settings, usable, source),
    cache: redis === undefined ? lifetimes : { ...lifetimes, redis },
    lockout,
    ...(audit && { audit: completeAudit(audit.output, baseDirectory) }),
    ...(provenance && { provenance }),
    ...(tracing && { tracing }),
    log,
    warnings: usable.flatMap((one) => one.warnings).map(source.locate),
  };
}

/** Returns the parts of the config that have no errors. Wrong values were replaced by defaults or left out. */
function withoutFaulty(config: GatewayConfig, isFaulty: (...path: Path) => boolean): GatewayConfig {
  const { server, cache, audit, ...rest } = config;
  const { tls, ...listening } = server;
  const { redis, ...lifetimes } = cache;
  return {
    ...rest,
    server: tls === undefined || isFaulty('server', 'tls') ? listening : { ...listening, tls },
    cache: redis === undefined || isFaulty('cache', 'redis') ? lifetimes : { ...lifetimes, redis },
    ...(audit && !isFaulty('audit') && { audit }),
  };
}

async function readSource(file: string, configFile: string): Promise<{ source: YamlSource; digest: string }> {
  const parsed = await readText(configFile, configFileLimit).then(
    (text) => ({ source: parseYaml(file, text), digest: createHash('sha256').update(text).digest('hex').slice(0, 12) }),
    (error) => {
      if (!(error instanceof UnusableFileError)) throw error;
      return { source: { problems: [{ file, path: '', message: error.reason }] }, digest: '' };
    },
  );
  const { source, digest } = parsed;
  if ('problems' in source) throw new ConfigError(source.problems, [configFile]);
  return { source, digest };
}

function byPlace(one: ConfigProblem, other: ConfigProblem): number {
  return (one.line ?? 0) - (other.line ?? 0) || (one.column ?? 0) - (other.column ?? 0);
}

function completeTls(
  { certFile, keyFile, minVersion, clientCAFile, clientNames }: TlsSettings,
  base: string,
): TlsConfig {
  const own = { certFile: resolve(base, certFile), keyFile: resolve(base, keyFile), minVersion };
  if (clientCAFile === undefined || clientNames === undefined) return own;
  return { ...own, client: { caFile: resolve(base, clientCAFile), names: clientNames } };
}

function completeAudit(output: string, base: string): AuditConfig {
  return { output: output === 'stdout' ? output : { file: resolve(base, output) } };
}

function completeAuthenticators(
  { authenticators, server, cache }: FileConfig,
  usable: readonly UsableAuthenticator[],
  source: YamlSource,
): AuthenticatorConfig[] {
  const places = lookupPlaces(authenticators, server.maxInFlight);
  const maxWaiting = waitingPlaces(places, server.maxInFlight);
  return usable.flatMap(({ index, resolved, ...one }) => {
    const settings = authenticators[index];
    if (settings === undefined || resolved === undefined) return [];
    const complete = completeAuthenticator(settings, index, { ...one, resolved }, source);
    const own = completeCache(settings.cache, resolved.plugin.caching, cache);
    return [{ ...complete, maxConcurrent: places[index] ?? 1, maxWaiting, cache: own }];
  });
}

const withheld = 'what the plugin says of it quotes a secret and is withheld';

function completeAuthenticator(
  settings: AuthenticatorSettings,
  index: number,
  { resolved, options, secrets }: PreparedAuthenticator & Required<Pick<PreparedAuthenticator, 'resolved'>>,
  source: YamlSource,
): Omit<AuthenticatorConfig, 'maxConcurrent' | 'maxWaiting' | 'cache'> {
  const { allow, ...groups } = settings.groups;
  const title = authenticatorTitle(settings.name, resolved.package);
  return {
    ...settings,
    package: resolved.package,
    plugin: resolved.plugin,
    needsRestart: resolved.needsRestart,
    options,
    fingerprint: fingerprint({ name: settings.name, plugin: resolved, options: settings.options }),
    groups: allow === undefined ? groups : { ...groups, allow },
    withhold: (words) => withholdSecrets(words, secrets, withheld),
    problem: (cause, failure = "can't be made", more = []) => {
      const message = withholdSecrets(causeOf(cause), [...secrets, ...more], withheld);
      return source.locate({ path: ['authenticators', index], message: `${title} ${failure}: ${message}` });
    },
  };
}
