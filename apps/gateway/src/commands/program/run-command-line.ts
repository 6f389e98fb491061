import { CommanderError } from 'commander';
import { ConfigError, describeError, onTwoLines } from '../../config/problems.ts';
import type { CommandContext } from '../context.ts';
import { type ExitCode, exitCodes, UsageError } from '../output.ts';
import { addBlockVerbs } from './block-verbs.ts';
import { addFactorVerbs } from './factor-verbs.ts';
import { addCheckVerbs, addGatewayVerbs } from './gateway-verbs.ts';
import { createProgram, type Program } from './program.ts';
import { addAuditVerb, addTokenVerbs } from './token-verbs.ts';

/** Runs the command of `context.words` to its end. It never rejects: it prints what is wrong, and returns the exit status for it. */
export async function runCommandLine(context: CommandContext): Promise<ExitCode> {
  let exitCode: ExitCode = exitCodes.success;
  const program = createProgram(context, (code) => {
    exitCode = code;
  });
  addGatewayVerbs(program);
  addCheckVerbs(program);
  addBlockVerbs(program);
  addFactorVerbs(program);
  addAuditVerb(program);
  addTokenVerbs(program);
  try {
    await program.program.parseAsync(withKnownHelp(program, context.words), { from: 'user' });
    return exitCode;
  } catch (error) {
    return explainError(context, error);
  }
}

/**
 * Commander prints the help of all commands for `blok --help`, and of a family for `help token list`. Here a word that is not a command
 * is refused, and the command that was meant is named.
 */
function withKnownHelp({ program }: Program, words: readonly string[]): readonly string[] {
  const isHelpVerb = words[0] === 'help';
  if (!isHelpVerb && !words.includes('--help') && !words.includes('-h')) return words;
  const [name = '-', subname = '-'] = isHelpVerb ? words.slice(1) : words;
  if (name.startsWith('-') || subname === 'help') return words;
  const family = program.commands.find((command) => command.name() === name);
  if (family === undefined) return [name];
  if (family.commands.length === 0 || subname.startsWith('-')) return [name, '--help'];
  const isKnown = family.commands.some((command) => command.name() === subname);
  return isKnown ? [name, subname, '--help'] : [name, subname];
}

/** Prints what is wrong, and returns the exit status for it. */
export function explainError({ stderr }: Pick<CommandContext, 'stderr'>, error: unknown): ExitCode {
  // Commander has printed it already; help and version are not errors.
  if (error instanceof CommanderError)
    return error.exitCode === 0 ? exitCodes.success : exitCodes.usage;
  const several = error instanceof ConfigError && error.problems.length > 1;
  const heading = several ? `${error.problems.length} errors in the config:\n` : '';
  const text = error instanceof ConfigError ? error.message : onTwoLines(describeError(error));
  stderr.write(`sallyport: ${heading}${text}\n`);
  return error instanceof UsageError ? exitCodes.usage : exitCodes.failure;
}
