import { printable } from '../base/logging/printable.ts';
import { shellQuoted } from '../base/shell-quoted.ts';
import type { Invocation } from './context.ts';
import { defaultConfigFile } from './options.ts';

/** Returns what a user types before the words of a command. A SALLYPORT_COMMAND without visible characters is as good as none. */
function readProgram({ environment, isCheckout }: Invocation): string {
  const program = environment.SALLYPORT_COMMAND?.trim();
  return program ? printable(program) : isCheckout ? 'npx -y pnpm@10 sallyport' : 'sallyport';
}

/**
 * Returns the script through which people who help users run this process (deploy/systemd/sallyport-helpdesk), as they call it;
 * undefined for everyone else. It changes what is printed, and nothing that is done.
 */
export function helpdeskScript({ environment }: Invocation): string | undefined {
  return environment.SALLYPORT_HELPDESK || undefined;
}

/**
 * Makes the words of that script from the values of options. The key is a command with its options; a command that is not here needs an
 * administrator.
 */
const helpdeskWords = new Map<string, (...values: readonly string[]) => readonly string[]>([
  ['lockouts', () => ['lockouts']],
  ['blocks', () => ['blocks']],
  ['unlock --user', (name = '') => ['unlock', name]],
  ['revoke --user --authenticator', (name = '') => ['logout', name]],
  ['token list --authenticator --user', (_authenticator, name = '') => ['sessions', name]],
  ['block --user --for', (name = '') => ['block', name, 'REASON']],
  ['block --user --for --reason', (name = '', _for, reason = '') => ['block', name, reason]],
]);

/**
 * Returns the line of the script for a command.
 *
 * @param words a command, and options that each have a value, which may look like an option
 */
function helpdeskLine(script: string, words: readonly string[]): string | undefined {
  const length = words[0] === 'token' ? 2 : 1;
  const options = words.slice(length);
  const key = [
    ...words.slice(0, length),
    ...options.filter((_word, index) => index % 2 === 0),
  ].join(' ');
  const helpdeskCommand = helpdeskWords.get(key)?.(
    ...options.filter((_word, index) => index % 2 === 1),
  );
  return helpdeskCommand && `${script} ${helpdeskCommand.map(shellQuoted).join(' ')}`;
}

/** Returns a command to paste into a shell, after a colon. */
export function commandLine(
  start: Invocation,
  words: readonly string[],
  program = readProgram(start),
): string {
  const { config } = start;
  // The administrator who runs the command for the helpdesk might use another config.
  const isDefault =
    config === defaultConfigFile &&
    !start.environment.SALLYPORT_CONFIG &&
    !start.environment.SALLYPORT_HELPDESK;
  const fullWords = config === undefined || isDefault ? words : [...words, '--config', config];
  const line = `${program} ${fullWords.map(shellQuoted).join(' ')}`;
  const script = helpdeskScript(start);
  if (script === undefined) return printable(line);
  return printable(helpdeskLine(script, words) ?? `ask an administrator to run: ${line}`);
}

/**
 * Returns a command line for another account. In a checkout it has no pnpm, which needs a home that it can write to: the account of a
 * service has none.
 */
export function commandLineForAccount(start: Invocation, words: readonly string[]): string {
  const { environment, isCheckout, script = '' } = start;
  const program =
    isCheckout && !environment.SALLYPORT_COMMAND?.trim()
      ? `${shellQuoted(process.execPath)} ${shellQuoted(script)}`
      : undefined;
  return commandLine(start, words, program);
}

/** Makes the words that name a user. @param isExact whether `--exact` was given with the name */
export function userWords(name: string, isExact = false): readonly string[] {
  return ['--user', name, ...(isExact ? ['--exact'] : [])];
}

/** Returns an example of a command as it is typed. It names no config, since it is not to be run as it is. */
export function exampleLine(start: Invocation, command: string): string {
  return `${readProgram(start)} ${command}`;
}

/** Makes the part of the help that has examples: each a comment and a command. */
export function exampleText(start: Invocation, examples: Readonly<Record<string, string>>): string {
  const lines = Object.entries(examples).map(
    ([comment, command]) => `  # ${comment}\n  ${exampleLine(start, command)}\n`,
  );
  return `\nExamples:\n${lines.join('\n')}`.trimEnd();
}
