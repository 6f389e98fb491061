import { printable } from '../../base/logging/printable.ts';
import { configJsonSchema } from '../../config/json-schema.ts';
import { loadConfig } from '../../config/load.ts';
import { builtInPlugins } from '../../config/plugins.ts';
import { ConfigError, onTwoLines } from '../../config/problems.ts';
import { configFile } from '../config-file.ts';
import type { CommandContext } from '../context.ts';
import { type NamedFinding, runCheck, toPlacedFinding, wholeDetail } from '../finding.ts';
import type { ConfigOptions, ReadOptions } from '../options.ts';
import { columns, type ExitCode, exitCodes, printJson, printRemark } from '../output.ts';
import { remarkOtherAccount } from './check-account.ts';
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
async function inspect(
  command: CommandContext,
  options: ReadOptions,
): Promise<readonly NamedFinding[]> {
  try {
    const config = await loadConfig(await configFile(command, options), command.environment);
    const authenticators = tryAuthenticators(config);
    const context = { command, config, files: listFiles(config), authenticators };
    const findings = await Promise.all(
      checks.map(({ name, run }) => runCheck(name, () => run(context))),
    );
    await remarkOtherAccount(command, await listAllFiles(context));
    return findings.flat();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    printRemark(
      command,
      'this config has errors, so its files, addresses and backends were not checked',
      'correct the config, and run check again',
    );
    return error.problems.map((problem) => ({
      check: 'config',
      ...toPlacedFinding('error', problem),
    }));
  }
}
