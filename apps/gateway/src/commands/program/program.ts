import { Command, type Option } from 'commander';
import { manifest } from '../../base/package-files.ts';
import { onTwoLines } from '../../config/problems.ts';
import type { CommandContext } from '../context.ts';
import { defaultConfigFile, isRepeatable, option } from '../options.ts';
import { type ExitCode, UsageError } from '../output.ts';
import { exampleLine, exampleText } from '../printed-commands.ts';
import { describeCommandLineError } from './command-line-error.ts';

/** A Verb is one command. */
interface Verb<Options> {
  readonly description: string;
  readonly options: readonly Option[];
  /** Loads the code of the verb when it is called, so that each command starts as fast as it can. */
  readonly load: () => Promise<(context: CommandContext, options: Options) => Promise<ExitCode>>;
  readonly exitStatus?: Readonly<Record<number, string>>;
  /** The words of the call that asks for a token, or reads it from standard input. Left out: the verb reads none. */
  readonly tokenCall?: string;
  /** A line of the help, after the exit status. */
  readonly note?: string;
  /** Commands by what they do. */
  readonly examples?: Readonly<Record<string, string>>;
}

/** A Program is the command line of one run. */
export type Program = ReturnType<typeof createProgram>;

/** Makes the program without its verbs. @param end gets the exit status of the verb that ran */
export function createProgram(context: CommandContext, end: (code: ExitCode) => void) {
  const { environment, stdout, stderr } = context;
  const program = new Command('sallyport')
    .description(
      'Authenticate bearer tokens for Kubernetes, and manage blocks, sessions and tokens',
    )
    .version(manifest.version)
    .addHelpText('after', helpText(context))
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      getOutHelpWidth: () => readWidth(stdout),
      getErrHelpWidth: () => readWidth(stderr),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride();
  adviseOnErrors(program, '--help');

  /** Adds how to fix it to each error about a command. */
  function adviseOnErrors(
    command: Command,
    help: string,
    example?: string,
    tokenCall?: string,
  ): Command {
    const advice = {
      help: exampleLine(context, help),
      toLine: (call: string) => exampleLine(context, call),
      example: example && exampleLine(context, example),
      tokenCall: tokenCall && exampleLine(context, tokenCall),
    };
    return command.configureOutput({
      outputError(text, write) {
        const words = describeCommandLineError(text.trimEnd(), command, advice);
        write(`${onTwoLines(words)}\n`);
      },
    });
  }

  /** Adds a word with which several commands begin, such as `token`. */
  function addFamily(name: string, description: string): Command {
    const family = program.command(name).description(description);
    return adviseOnErrors(family, `${name} --help`);
  }

  function add<Options>(parent: Command, name: string, verb: Verb<Options>): Command {
    const { description, options, load, exitStatus, note, examples, tokenCall } = verb;
    const help = [
      exitStatus ? exitText(exitStatus) : '',
      note === undefined ? '' : `\n${note}\n`,
      examples ? exampleText(context, examples) : '',
    ];
    const command = parent.command(name).description(description);
    const path = parent === program ? name : `${parent.name()} ${name}`;
    adviseOnErrors(command, `${path} --help`, Object.values(examples ?? {})[0], tokenCall);
    for (const verbOption of options) {
      command.addOption(verbOption);
      refuseRepetition(command, verbOption);
      refuseOptionAsValue(command, verbOption);
    }
    if (options.includes(option.config) && environment.SALLYPORT_CONFIG !== undefined)
      command.setOptionValueWithSource('config', environment.SALLYPORT_CONFIG, 'env');
    return command.addHelpText('after', help.join('').trimEnd()).action(async () => {
      const run = await load();
      const values = command.opts();
      const configSource = command.getOptionValueSource('config');
      const verbOptions = { ...values, configSource, dir: command.args[0] };
      end(await run({ ...context, config: values.config }, verbOptions as Options));
    });
  }

  return { program, context, add, addFamily };
}

/** Refuses an option that is given twice: commander takes the last, so `--user a --user b` would do nothing to a. */
function refuseRepetition(command: Command, verbOption: Option): void {
  if (verbOption.isBoolean() || isRepeatable(verbOption)) return;
  let count = 0;
  command.on(`option:${verbOption.name()}`, () => {
    count += 1;
    if (count > 1)
      throw new UsageError(
        `--${verbOption.name()} is given twice`,
        'keep one, or run the command twice',
      );
  });
}

/** Refuses an option of the command as a value: in `--user --for 8h`, commander takes `--for` as the name of the user. */
function refuseOptionAsValue(command: Command, verbOption: Option): void {
  if (!verbOption.required) return;
  command.on(`option:${verbOption.name()}`, (value: string) => {
    if (!command.options.some(({ long, short }) => value === long || value === short)) return;
    throw new UsageError(
      `--${verbOption.name()} has no value: the next word is ${value}`,
      `write it before ${value}: ${verbOption.flags.replace(/^-\w, /, '')}`,
    );
  });
}

function readWidth({ isTTY, columns }: CommandContext['stdout']): number {
  return (isTTY && columns) || 80;
}

function helpText(context: CommandContext): string {
  return `
Config:
  A command uses the file of --config, else SALLYPORT_CONFIG, else ${defaultConfigFile}.
${exitText({
  0: 'success',
  1: 'there is a problem with the config, a file or a backend',
  3: 'explain: refused or unknown; revoke, unlock, token list, factor: nothing to revoke, unlock, list or reset',
})}${exampleText(context, {
  'Make a config and certificates': 'init /etc/sallyport --host gateway.example.com',
  'Check the config': 'check',
  'Start the gateway': 'serve',
})}`;
}

/** Makes the part of the help on the exit status. The key is a status. 2 is wrong usage in every command. */
function exitText(meanings: Readonly<Record<number, string>>): string {
  const statuses = Object.entries({ ...meanings, 2: 'wrong usage' });
  return `\nExit status:\n${statuses.map(([code, meaning]) => `  ${code}  ${meaning}\n`).join('')}`;
}
