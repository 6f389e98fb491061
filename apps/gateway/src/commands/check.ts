import { pino } from 'pino';
import { loadConfig } from '../config/load.ts';
import { ConfigError, type ConfigProblem, causeOf, formatProblem } from '../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import { createAttempts } from '../lockout/attempts.ts';
import {
  type CreatedAuthenticator,
  closeAuthenticator,
  createAuthenticator,
} from '../runtime/create-authenticators.ts';
import { checkInTime } from '../runtime/health.ts';
import type { CreateDependencies } from '../runtime/make-with-plugin.ts';
import { readTlsMaterial } from '../server/tls.ts';
import { checkAudit } from './check-audit.ts';
import { checkCacheRedis } from './check-cache-redis.ts';
import { configFile } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { type Finding, fault } from './finding.ts';
import { type OutputFormat, printJson, printTable } from './output.ts';
import { sharedTokenPrefixes } from './token-prefixes.ts';

export interface CheckOptions {
  readonly config?: string;
  readonly output: OutputFormat;
}

/** How long one backend may take to answer, in milliseconds. */
const backendTimeout = 10_000;

/** Looks at everything that `serve` would need, and serves nothing. */
export async function check(options: CheckOptions): Promise<ExitCode> {
  const { file } = configFile(options.config);
  const findings: Finding[] = [];
  try {
    const config = await loadConfig(file, process.env);
    findings.push({ check: 'config', result: 'ok', detail: file });
    findings.push(...(await checkCertificates(config)), ...(await checkAudit(config)));
    const [ofRedis, ofAuthenticators] = await Promise.all([checkCacheRedis(config), checkAuthenticators(config)]);
    findings.push(...ofRedis, ...ofAuthenticators);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    findings.push(...error.problems.map((problem) => problemFound('config', problem)));
  }
  if (options.output === 'json') printJson({ findings });
  else
    printTable(
      ['CHECK', 'RESULT', 'DETAIL'],
      findings.map((one) => [one.check, one.result, one.detail]),
    );
  return findings.some(({ result }) => result === 'fault') ? exitCodes.fault : exitCodes.success;
}

function problemFound(name: string, problem: ConfigProblem): Finding {
  return { ...fault(name, formatProblem(problem)), problem };
}

async function checkCertificates({ server }: GatewayConfig): Promise<Finding[]> {
  if (server.tls === undefined) {
    return [{ check: 'TLS', result: 'ok', detail: 'none: plain HTTP on loopback' }];
  }
  try {
    const { certificates, warnings } = await readTlsMaterial(server.tls);
    return [
      ...certificates.map(
        ({ certificate, subject, notAfter }): Finding => ({
          check: `${certificate} certificate`,
          result: 'ok',
          detail: `${subject}, until ${notAfter.toISOString()}`,
        }),
      ),
      ...warnings.map((detail): Finding => ({ check: 'TLS', result: 'warning', detail })),
    ];
  } catch (error) {
    return [fault('TLS', causeOf(error))];
  }
}

interface CheckedAuthenticator {
  readonly finding: Finding;
  /** Left out: it could not be made, or its tokens have none. */
  readonly tokenPrefix?: string;
}

/** All at once: what is down costs its own time, not the sum. */
async function checkAuthenticators(config: GatewayConfig): Promise<Finding[]> {
  const dependencies = {
    logger: pino({ level: 'silent' }),
    attempts: createAttempts(() => config.lockout, { now: () => performance.now() }),
  };
  const checked = await Promise.all(
    config.authenticators.map(async (one) => ({
      name: one.name,
      ...(await checkAuthenticator(one, config.baseDirectory, dependencies)),
    })),
  );
  const shared = sharedTokenPrefixes(checked);
  return [
    ...checked.map(({ finding }) => finding),
    ...shared.map((detail): Finding => ({ check: 'token prefixes', result: 'warning', detail })),
  ];
}

async function checkAuthenticator(
  config: AuthenticatorConfig,
  baseDirectory: string,
  dependencies: CreateDependencies,
): Promise<CheckedAuthenticator> {
  const name = `authenticator ${config.name}`;
  let created: CreatedAuthenticator;
  try {
    created = await createAuthenticator(config, baseDirectory, dependencies);
  } catch (error) {
    return { finding: problemFound(name, config.problem(error)) };
  }
  const { check: reach, tokenPrefix } = created.authenticator;
  const prefix = tokenPrefix === undefined ? {} : { tokenPrefix };
  try {
    await checkInTime(created.authenticator, backendTimeout);
  } catch (error) {
    return { ...prefix, finding: fault(name, `${config.package}: its backend can't be used: ${causeOf(error)}`) };
  } finally {
    await closeAuthenticator(created, dependencies.logger);
  }
  const reached = reach === undefined ? 'ready; it has no backend to reach' : 'ready, and its backend answers';
  return { ...prefix, finding: { check: name, result: 'ok', detail: `${config.package}: ${reached}` } };
}
