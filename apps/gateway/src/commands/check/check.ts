import { printable } from '../../base/logging/printable.ts';
import { configJsonSchema } from '../../config/json-schema.ts';
import { loadConfig } from '../../config/load.ts';
import { builtInPlugins } from '../../config/plugins.ts';
import { ConfigError, type ConfigProblem, onTwoLines, placed } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { probeOutput } from '../../observe/audit/output.ts';
import { configFile } from '../config-file.ts';
import type { CommandContext } from '../context.ts';
import { detailOf, type Finding, tryOut, wholeDetail } from '../finding.ts';
import type { ConfigOptions, ReadOptions } from '../options.ts';
import { columns, type ExitCode, exitCodes, printJson, printRemark } from '../output.ts';
import { checkPermissions } from '../permissions.ts';
import { remarkOtherAccount } from './check-account.ts';
import { checkAddress } from './check-address.ts';
import { checkAuthenticators } from './check-authenticators.ts';
import { checkCacheRedis } from './check-cache-redis.ts';
import { checkExamples } from './check-examples.ts';
import { checkFactorRedis } from './check-factor-redis.ts';
import { checkCertificates, checkLogin, filesOf } from './check-files.ts';
import { checkLoginHost } from './check-login-host.ts';
import { checkOwner, serviceAccount } from './check-owner.ts';

/** Prints the schema. Only a config that is named adds to it, so that its bytes do not depend on the machine. */
export async function schema(context: CommandContext, options: ConfigOptions): Promise<ExitCode> {
  const used =
    options.config === undefined
      ? []
      : (await loadConfig(await configFile(context, options), context.environment)).authenticators;
  printJson(context, configJsonSchema([...(await builtInPlugins()), ...used]));
  return exitCodes.success;
}

/** Looks at everything that `serve` would need, and serves nothing. */
export async function check(context: CommandContext, options: ReadOptions): Promise<ExitCode> {
  const findings = await inspect(context, options);
  if (options.output === 'json') {
    const inJson = findings.map((one) => ({ ...one, detail: wholeDetail(one), fix: undefined }));
    printJson(context, { findings: inJson });
  } else {
    // This is not printTable, since a detail may have several lines.
    const rows = findings.map(({ check: name, result, detail, fix }) => [
      printable(name),
      result,
      onTwoLines({ message: detail, fix }),
    ]);
    context.stdout.write(`${columns([['CHECK', 'RESULT', 'DETAIL'], ...rows])}\n`);
  }
  return findings.some(({ result }) => result === 'error') ? exitCodes.failure : exitCodes.success;
}

/** Reports all errors of the config in one run. What it names is checked once it has none, since no gateway runs on a part of it. */
async function inspect(context: CommandContext, options: ReadOptions): Promise<readonly Finding[]> {
  try {
    const config = await loadConfig(await configFile(context, options), context.environment);
    return [
      { check: 'config', result: 'ok', detail: config.file },
      ...(await inspectParts(context, config, options)),
    ];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    printRemark(
      context,
      'this config has errors, so its files, addresses and backends were not checked',
      'correct the config, and run check again',
    );
    return error.problems.map((problem) => ofConfig('error', problem));
  }
}

function ofConfig(result: Finding['result'], problem: ConfigProblem): Finding {
  return { check: 'config', result, ...detailOf(placed(problem)), problem };
}

async function inspectParts(
  context: CommandContext,
  config: GatewayConfig,
  options: Pick<ReadOptions, 'config'>,
): Promise<readonly Finding[]> {
  const { server, admin, login } = config;
  const addresses = Object.entries({ server, admin, ...(login && { login }) });
  const own = filesOf(config);
  const [authenticators, ...findings] = await Promise.all([
    checkAuthenticators(config),
    checkCertificates(context, config),
    ...addresses.map(([section, one]) => checkAddress(`${section}.listen`, one.listen, own)),
    checkAudit(config),
    checkCacheRedis(context, config),
    checkFactorRedis(context, config),
    checkLogin(context, config),
  ]);
  const files = [...own, ...authenticators.files];
  const permissions = [
    ...(await checkPermissions(files)),
    ...(await checkOwner(config, files, await serviceAccount())),
  ];
  await remarkOtherAccount(context, files, options.config);
  const warnings = config.warnings.map((problem) => ofConfig('warning', problem));
  return [
    ...warnings,
    ...checkExamples(config),
    ...checkLoginHost(config),
    ...findings.flat(),
    ...authenticators.findings,
    ...permissions,
  ];
}

/** Checks whether the user who runs this could write the audit trail. It creates no file. */
async function checkAudit({ audit }: Pick<GatewayConfig, 'audit'>): Promise<readonly Finding[]> {
  if (audit === undefined) return [];
  return await tryOut('audit', async () => {
    await probeOutput(audit);
    const detail =
      audit.output === 'stdout' ? 'standard output' : `${audit.output.file} can be written`;
    return [{ check: 'audit', result: 'ok', detail }];
  });
}
