import { createServer } from 'node:net';
import { probeOutput } from '../audit/output.ts';
import { usableParts } from '../config/load.ts';
import { ConfigError, causeOf, formatProblem } from '../config/problems.ts';
import type { GatewayConfig, ListenAddress } from '../config/types.ts';
import { authority, listen } from '../server/http-server.ts';
import { checkAuthenticators } from './check-authenticators.ts';
import { checkCacheRedis } from './check-cache-redis.ts';
import { checkCertificates, checkPermissions, tlsFilesOf } from './check-files.ts';
import { checkLogin, loginFilesOf } from './check-login.ts';
import { configFile, loadNamedConfig } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import type { Finding } from './finding.ts';
import { columns, type OutputFormat, printJson } from './output.ts';

export interface CheckOptions {
  readonly config?: string;
  readonly output: OutputFormat;
}

/** Looks at everything that `serve` would need, and serves nothing. */
export async function check(options: CheckOptions): Promise<ExitCode> {
  const findings = await inspect(options);
  if (options.output === 'json') printJson({ findings });
  else {
    // This is not printTable, since a detail may have several lines.
    const rows = findings.map(({ check: name, result, detail }) => [name, result, detail]);
    process.stdout.write(`${columns([['CHECK', 'RESULT', 'DETAIL'], ...rows])}\n`);
  }
  return findings.some(({ result }) => result === 'fault') ? exitCodes.failure : exitCodes.success;
}

/** Reports everything in one run: when the config has errors, the parts without errors are checked too. */
async function inspect(options: CheckOptions): Promise<readonly Finding[]> {
  try {
    const config = await loadNamedConfig(options);
    const detail = configFile(options.config).file;
    return [{ check: 'config', result: 'ok', detail }, ...(await inspectParts(config, true))];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.problems.map((problem): Finding => {
      return { check: 'config', result: 'fault', detail: formatProblem(problem), problem };
    });
    const usable = usableParts(error);
    return [...problems, ...(usable === undefined ? [] : await inspectParts(usable, false))];
  }
}

/** @param isWhole false: parts of the config had errors, and are left out */
async function inspectParts(config: GatewayConfig, isWhole: boolean): Promise<readonly Finding[]> {
  const warnings = config.warnings.map((problem): Finding => {
    return { check: 'config', result: 'warning', detail: formatProblem(problem), problem };
  });
  const { server, admin, login } = config;
  const addressesOf = [['server', server], ['admin', admin], ...(login ? ([['login', login]] as const) : [])] as const;
  const [certificates, addresses, audit, redis, logins, authenticators] = await Promise.all([
    isWhole || server.tls !== undefined ? checkCertificates(server) : [],
    isWhole ? Promise.all(addressesOf.map(([section, one]) => checkAddress(section, one))) : [],
    checkAudit(config),
    checkCacheRedis(config),
    checkLogin(config),
    checkAuthenticators(config),
  ]);
  const permissions = await checkPermissions([
    { file: config.file, secret: warnings.length > 0 },
    ...config.secretFiles.map((file) => ({ file, secret: true })),
    ...config.pluginFiles.map((file) => ({ file, secret: false })),
    ...tlsFilesOf(config.server.tls),
    ...loginFilesOf(login),
    ...authenticators.files,
  ]);
  return [
    ...[...warnings, ...certificates, ...addresses.flat(), ...audit, ...redis, ...logins],
    ...[...authenticators.findings, ...permissions],
  ];
}

/** Checks whether the gateway could listen there. It only warns: the gateway itself may be running there. */
async function checkAddress(
  section: string,
  { listen: address }: { readonly listen: ListenAddress },
): Promise<readonly Finding[]> {
  const setting = `${section}.listen`;
  const server = createServer();
  try {
    await listen(server, address, setting);
    return [];
  } catch (error) {
    const { code } = (error instanceof Error ? error.cause : undefined) as { readonly code?: unknown };
    const inUse =
      `${authority(address.host, address.port)} is in use: if that is not this gateway, which runs already, ` +
      'stop the other process or take another port';
    return [{ check: setting, result: 'warning', detail: code === 'EADDRINUSE' ? inUse : causeOf(error) }];
  } finally {
    server.close();
  }
}

/** Checks whether the user who runs this could write the audit trail. It creates no file. */
async function checkAudit({ audit }: Pick<GatewayConfig, 'audit'>): Promise<readonly Finding[]> {
  if (audit === undefined) return [];
  try {
    await probeOutput(audit);
  } catch (error) {
    return [{ check: 'audit', result: 'fault', detail: causeOf(error) }];
  }
  const detail = audit.output === 'stdout' ? 'standard output' : `${audit.output.file} can be written`;
  return [{ check: 'audit', result: 'ok', detail }];
}
