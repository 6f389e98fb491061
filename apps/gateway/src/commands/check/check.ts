import { printable } from '../../base/logging/printable.ts';
import { configJsonSchema } from '../../config/json-schema.ts';
import { loadConfig } from '../../config/load.ts';
import { builtInPlugins } from '../../config/plugins.ts';
import { ConfigError, onTwoLines } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { configFile } from '../config-file.ts';
import type { CommandContext } from '../context.ts';
import { type NamedFinding, runCheck, toPlacedError, wholeDetail } from '../finding.ts';
import type { ConfigOptions, ReadOptions } from '../options.ts';
import { columns, type ExitCode, exitCodes, printJson, printRemark } from '../output.ts';
import { type AcknowledgedFinding, acknowledge } from './acknowledge.ts';
import { remarkOtherAccount } from './check-account.ts';
import { findGateway } from './check-address.ts';
import { tryAuthenticators } from './check-authenticators.ts';
import { listFiles } from './check-files.ts';
import { checks, listAllFiles } from './checks.ts';

/** Prints the schema. Only a config that is named adds to it, so that its bytes do not depend on the machine. */
export async function schema(context: CommandContext, options: ConfigOptions): Promise<ExitCode> {
  const usedAuthenticators =
    options.config === undefined
      ? []
      : (await loadConfig(await configFile(context, options), context.environment)).authenticators;
  printJson(context, configJsonSchema([...(await builtInPlugins()), ...usedAuthenticators]));
  return exitCodes.success;
}

/** Looks at everything that `serve` would need, and serves nothing. */
export async function check(context: CommandContext, options: ReadOptions): Promise<ExitCode> {
  const findings = await inspect(context, options);
  if (options.output === 'json') {
    const inJson = findings.map((finding) => ({
      ...finding,
      detail: wholeDetail(finding),
      fix: undefined,
    }));
    printJson(context, { findings: inJson });
  } else {
    const shown = findings.filter((finding) => finding.result !== 'acknowledged');
    // This is not printTable, since a detail may have several lines.
    const rows = shown.map((finding) => [
      printable(finding.check),
      finding.result,
      onTwoLines({ message: nameWarning(finding), fix: finding.fix }),
    ]);
    context.stdout.write(`${columns([['CHECK', 'RESULT', 'DETAIL'], ...rows])}\n`);
    context.stdout.write(`\n${summarize(findings)}\n`);
  }
  return findings.some(({ result }) => result === 'error') ? exitCodes.failure : exitCodes.success;
}

/** Adds the name of a warning to its text: `check.acknowledge` takes it. */
function nameWarning(finding: NamedFinding): string {
  return finding.result === 'warning' ? `${finding.detail} [${finding.name}]` : finding.detail;
}

function summarize(findings: Awaited<ReturnType<typeof inspect>>): string {
  const counts = Map.groupBy(findings, ({ result }) => result);
  const count = (result: (typeof findings)[number]['result']) => counts.get(result)?.length ?? 0;
  const [errors, warnings, acknowledged] = [
    count('error'),
    count('warning'),
    count('acknowledged'),
  ];
  return [
    `${errors} ${errors === 1 ? 'error' : 'errors'}`,
    `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`,
    ...(acknowledged > 0 ? [`${acknowledged} acknowledged`] : []),
  ].join(', ');
}

/** Adds the line of the config to an error of a value. */
function placeError({ locate }: Pick<GatewayConfig, 'locate'>, finding: NamedFinding) {
  const { setting, ...unplaced } = finding;
  return setting === undefined ? finding : { ...unplaced, ...toPlacedError(locate(setting)) };
}

/** Reports all errors of the config in one run. What it names is checked once it has none, since no gateway runs on a part of it. */
async function inspect(
  command: CommandContext,
  options: ReadOptions,
): Promise<readonly (NamedFinding | AcknowledgedFinding)[]> {
  try {
    const config = await loadConfig(await configFile(command, options), command.environment);
    const authenticators = tryAuthenticators(config);
    const gateway = findGateway(config);
    const context = { command, config, files: listFiles(config), gateway, authenticators };
    const findings = await Promise.all(
      checks.map(({ name, run }) => runCheck(name, () => run(context))),
    );
    await remarkOtherAccount(command, await listAllFiles(context));
    const placedFindings = findings.flat().map((finding) => placeError(config, finding));
    return acknowledge(placedFindings, config.acknowledgements);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    printRemark(
      command,
      'this config has errors, so its files, addresses and backends were not checked',
      'correct the config, and run check again',
    );
    return error.problems.map((problem) => ({ check: 'config', ...toPlacedError(problem) }));
  }
}
