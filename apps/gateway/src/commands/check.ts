import { loadConfig, usableParts } from '../config/load.ts';
import { ConfigError, formatProblem } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { checkAddresses } from './check-addresses.ts';
import { checkAudit } from './check-audit.ts';
import { checkAuthenticators, problemFound } from './check-authenticators.ts';
import { checkCacheRedis } from './check-cache-redis.ts';
import { checkCertificates, tlsFilesOf } from './check-certificates.ts';
import { checkPermissions } from './check-permissions.ts';
import { configFile } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import type { Finding } from './finding.ts';
import { type OutputFormat, printJson, printTable } from './output.ts';

export interface CheckOptions {
  readonly config?: string;
  readonly output: OutputFormat;
}

/** Looks at everything that `serve` would need, and serves nothing. */
export async function check(options: CheckOptions): Promise<ExitCode> {
  const { file } = configFile(options.config);
  const findings = await inspect(file);
  if (options.output === 'json') printJson({ findings });
  else
    printTable(
      ['CHECK', 'RESULT', 'DETAIL'],
      findings.map((one) => [one.check, one.result, one.detail]),
    );
  return findings.some(({ result }) => result === 'fault') ? exitCodes.fault : exitCodes.success;
}

/** Reports everything in one run: when the config has errors, the parts without errors are checked too. */
async function inspect(file: string): Promise<readonly Finding[]> {
  try {
    const config = await loadConfig(file, process.env);
    return [{ check: 'config', result: 'ok', detail: file }, ...(await inspectParts(config, true))];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.problems.map((problem) => problemFound('config', problem));
    const usable = usableParts(error);
    return [...problems, ...(usable === undefined ? [] : await inspectParts(usable, false))];
  }
}

/** @param isWhole false: parts of the config had errors, and are left out */
async function inspectParts(config: GatewayConfig, isWhole: boolean): Promise<readonly Finding[]> {
  const warnings = config.warnings.map((problem): Finding => {
    return { check: 'config', result: 'warning', detail: formatProblem(problem), problem };
  });
  const [certificates, addresses, audit, redis, authenticators] = await Promise.all([
    isWhole || config.server.tls !== undefined ? checkCertificates(config.server) : [],
    isWhole ? checkAddresses(config) : [],
    checkAudit(config),
    checkCacheRedis(config),
    checkAuthenticators(config),
  ]);
  const permissions = await checkPermissions([
    { file: config.file, secret: warnings.length > 0 },
    ...config.secretFiles.map((file) => ({ file, secret: true })),
    ...config.pluginFiles.map((file) => ({ file, secret: false })),
    ...tlsFilesOf(config.server.tls),
    ...authenticators.files,
  ]);
  return [...warnings, ...certificates, ...addresses, ...audit, ...redis, ...authenticators.findings, ...permissions];
}
