import type { Command } from 'commander';
import type { ProblemWords } from '../../config/problems.ts';

/** Lines to paste that show how a command is called. */
interface CommandAdvice {
  /** A complete call. Left out: the command has no examples. */
  readonly example?: string | undefined;
  /** The call that prints its help. */
  readonly help: string;
}

/**
 * Words an error of commander for a person, and adds how to fix it. What no command takes is not repeated, nor are values of unknown
 * options: people type tokens there, and errors end up in logs.
 *
 * @param text the error in commander's words, such as `error: unknown option '--usr'`
 */
export function describeCommandLineError(
  text: string,
  command: Pick<Command, 'name' | 'args' | 'registeredArguments'>,
  { example, help }: CommandAdvice,
): ProblemWords {
  const see = `see: ${help}`;
  const [problem = '', guess] = text.split(/\n\(Did you mean (?:one of )?(.+)\?\)$/s);
  const [, flag = ''] = /^error: [a-z ]*option '(?:-\w, )?(--[\w-]+)/.exec(problem) ?? [];
  const fix = example?.includes(flag) ? `write for example: ${example}` : see;
  // A name without its option, as in `block jane`, is the reason why the option is missing.
  if (/^error: (?:too many arguments|required option)/.test(problem) && hasExcess(command))
    return { message: describeExcess(command), fix };
  if (/^error: unknown /.test(problem))
    return { message: withoutSecrets(problem), fix: guess ? `did you mean ${guess}?` : see };
  if (problem.includes(' cannot be used with option '))
    return { message: problem, fix: 'leave one of them out' };
  return { message: problem, fix };
}

function hasExcess({ args, registeredArguments }: Pick<Command, 'args' | 'registeredArguments'>) {
  return args.filter((word) => !word.startsWith('-')).length > registeredArguments.length;
}

function describeExcess(command: Pick<Command, 'name' | 'registeredArguments'>): string {
  const operands = command.registeredArguments
    .map((argument) => ` <${argument.name()}> and`)
    .join();
  return `error: too many arguments: ${command.name()} takes only${operands} options. They are not repeated here, since they might be secrets`;
}

/** Commander quotes the whole word of an unknown option: `--token=…`. No command is as long as most tokens. */
function withoutSecrets(problem: string): string {
  return problem
    .replace(/^(error: unknown option '-[^=]*=).*'$/s, "$1…'")
    .replace(/^(error: unknown command) '.{20,}'$/s, '$1, which is too long to be one');
}
