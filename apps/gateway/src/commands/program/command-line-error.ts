import type { Command } from 'commander';
import type { ProblemWords } from '../../config/problems.ts';
import { isRepeatable } from '../options.ts';
import { meantCalls } from './meant-calls.ts';

/** Lines to paste that show how a command is called. */
interface CommandAdvice {
  /** A complete call. Left out: the command has no examples. */
  readonly example?: string | undefined;
  /** The call that prints its help. */
  readonly help: string;
  /** Makes the line to paste from the words of a call. */
  readonly toLine: (call: string) => string;
  /** The call that asks for a token, or reads it from standard input. Left out: the command takes none. */
  readonly tokenCall?: string | undefined;
}

/** No token is this short, and few names are longer. */
const minTokenLength = 16;

/**
 * Words an error of commander for a person, and adds how to fix it. What no command takes is not repeated, nor are values of unknown
 * options: people type tokens there, and errors end up in logs.
 *
 * @param text the error in commander's words, such as `error: unknown option '--usr'`
 */
export function describeCommandLineError(
  text: string,
  command: Pick<
    Command,
    'name' | 'args' | 'commands' | 'opts' | 'options' | 'parent' | 'registeredArguments'
  >,
  { example, help, toLine, tokenCall }: CommandAdvice,
): ProblemWords {
  // Behind a word that is not a command, options are of the command that is meant.
  const meantCall = (command.parent === null ? command.args.slice(0, 1) : command.args)
    .map((word) => meantCalls[`${command.name()} ${word.split('=')[0]}`])
    .find((call) => call !== undefined);
  const printedCall = meantCall?.startsWith('kubectl ')
    ? meantCall
    : meantCall && toLine(meantCall);
  const see = `see: ${printedCall ?? help}`;
  const [quoting = '', guess] = text.split(/\n\(Did you mean (?:one of )?(.+)\?\)$/s);
  // A token that begins with `-o` is such a value.
  const problem = quoting.replace(
    / argument '.*' is invalid\. Allowed choices are (.+)\.$/s,
    ' must be one of: $1',
  );
  const [, flag = ''] = /^error: [a-z ]*option '(?:-\w, )?(--[\w-]+)/.exec(problem) ?? [];
  const fix =
    meantCall === undefined && example?.includes(flag) ? `write for example: ${example}` : see;
  // A name without its option, as in `block jane`, is the reason why the option is missing.
  const isExcess =
    problem.startsWith('error: too many arguments') ||
    (problem.startsWith('error: required option') && hasExcess(command));
  if (isExcess) {
    const isToken = tokenCall !== undefined && mayBeToken(command, tokenCall);
    const unknownOption = command.args.find((word) => /^--[a-z][a-z-]{0,20}$/.test(word));
    const message =
      unknownOption === undefined
        ? describeExcess(command)
        : `error: unknown option '${unknownOption}'`;
    const wordFix =
      meantCall === undefined
        ? (adviseOnList(command) ?? adviseOnWord(command, help, example) ?? fix)
        : fix;
    return { message, fix: isToken ? adviseOnToken(command, tokenCall) : wordFix };
  }
  if (tokenCall !== undefined && /^error: unknown option '--token\b/.test(problem))
    return { message: withoutSecrets(problem), fix: adviseOnToken(command, tokenCall) };
  const [, word = ''] = /^error: unknown option '-([a-z-]+)'$/.exec(problem) ?? [];
  const meantOption = word === '' ? undefined : findOption(command, word);
  if (meantOption !== undefined) return { message: problem, fix: `did you mean ${meantOption}?` };
  if (/^error: unknown /.test(problem)) {
    const isOption = problem.startsWith('error: unknown option');
    const message = isOption ? withoutSecrets(problem) : describeUnknownCommand(command);
    if (tokenCall !== undefined && isOption && isHidden(problem, message))
      return { message, fix: adviseOnToken(command, tokenCall) };
    // Commander guesses the options of all commands for each.
    const isOfProgram = command.parent !== null && guess === '--version';
    const meantWord =
      (isOfProgram ? undefined : guess) ?? (isOption ? undefined : findCommand(command));
    return {
      message,
      fix: meantWord && meantCall === undefined ? `did you mean ${meantWord}?` : see,
    };
  }
  if (problem.includes(' cannot be used with option '))
    return { message: problem, fix: 'leave one of them out' };
  const [, placeholder = ''] = /<(.+)>' argument missing$/.exec(problem) ?? [];
  if (placeholder !== '' && fix === see)
    return { message: problem, fix: `write a value: ${flag} ${placeholder.toUpperCase()}` };
  return { message: problem, fix };
}

function hasExcess({ args, registeredArguments }: Pick<Command, 'args' | 'registeredArguments'>) {
  return args.filter((word) => !word.startsWith('-')).length > registeredArguments.length;
}

/** Whether a word that no option takes may be a token. Where `--token` asks for one, a short word is a name without its option. */
function mayBeToken(command: Pick<Command, 'args' | 'opts'>, tokenCall: string): boolean {
  return (
    !tokenCall.includes(' --token') ||
    command.opts().token === true ||
    command.args.some((word) => word.length >= minTokenLength)
  );
}

function adviseOnToken({ options }: Pick<Command, 'options'>, tokenCall: string): string {
  const hasUser = options.some(({ long }) => long === '--user') && !tokenCall.includes(' --');
  const hasDigest = options.some(({ long }) => long === '--digest');
  return (
    `let the command ask for the token: ${tokenCall}, or read it from a file: ${tokenCall} < FILE. ` +
    `${hasUser ? `For a user: ${tokenCall} --user NAME. ` : ''}` +
    `${hasDigest ? 'For a digest, as lists show it: --digest DIGITS. ' : ''}` +
    "A token that you typed here is in your shell's history: delete it there, and revoke it"
  );
}

/** Finds the option that a word with one dash means: its whole name, or the beginning of no other. */
function findOption({ options }: Pick<Command, 'options'>, word: string): string | undefined {
  const names = options.flatMap(({ long }) => (long?.startsWith(`--${word}`) ? [long] : []));
  return names.find((name) => name === `--${word}`) ?? (names.length === 1 ? names[0] : undefined);
}

/** Finds the longest command whose name is in an unknown one, such as `blocks` in `list-blocks`. */
function findCommand({ args, commands }: Pick<Command, 'args' | 'commands'>): string | undefined {
  const names = commands.map((candidate) => candidate.name());
  const [longest] = names
    .filter((name) => args[0]?.split('-').includes(name))
    .sort((a, b) => b.length - a.length);
  return longest;
}

/** Says how to give several values: `--host a b` is one. Undefined: no option that may be repeated is given. */
function adviseOnList(command: Pick<Command, 'opts' | 'options'>): string | undefined {
  const values = command.opts();
  const list = command.options.find(
    (candidate) => isRepeatable(candidate) && values[candidate.attributeName()] !== undefined,
  );
  const call = list?.flags.replace(/<(.+)>/, (_flag, value: string) => value.toUpperCase());
  return call && `repeat the option for each value: ${call} ${call}`;
}

/** Says which option a word is missing: a config file or, where no example shows it, a user. Undefined: it is not known. */
function adviseOnWord(
  { args, options }: Pick<Command, 'args' | 'options'>,
  help: string,
  example?: string,
): string | undefined {
  const hasOption = (long: string) => options.some((candidate) => candidate.long === long);
  const makeCall = (words: string) => `write for example: ${help.replace(/--help$/, words)}`;
  if (hasOption('--config') && args.some((word) => /\.ya?ml$/.test(word)))
    return makeCall('--config gateway.yaml');
  return example === undefined && hasOption('--user') ? makeCall('--user corp:jane') : undefined;
}

function describeExcess(command: Pick<Command, 'name' | 'registeredArguments'>): string {
  const operands = command.registeredArguments
    .map((argument) => ` <${argument.name()}> and`)
    .join();
  return `error: too many arguments: ${command.name()} takes only${operands} options. They are not repeated here, since they might be secrets`;
}

const hiddenWord = 'It is not repeated here, since it might be a secret';

function describeUnknownCommand(command: Pick<Command, 'name' | 'parent'>): string {
  const place = command.parent === null ? '' : ` after ${command.name()}`;
  return `error: unknown command${place}. ${hiddenWord}`;
}

/** Whether a message leaves out enough of a problem to be a token. */
const isHidden = (problem: string, message: string): boolean =>
  message !== problem && problem.length - 'error: unknown option'.length > minTokenLength;

/** Commander quotes the whole word of an unknown option: `--token=…`, `-t…`. What is not like an option may be a token that begins so. */
function withoutSecrets(problem: string): string {
  return problem.replace(
    /^(error: unknown option) '(--[a-z][a-z-]{0,20}(?=['=])|-[A-Za-z])?(.*)'$/s,
    (_, text: string, option: string | undefined, suffix: string) =>
      option === undefined
        ? `${text}. ${hiddenWord}`
        : `${text} '${option}${suffix && (suffix.startsWith('=') ? '=…' : '…')}'`,
  );
}
