import { basename } from 'node:path';
import { printable } from '../base/logging/printable.ts';
import { shellQuoted } from '../base/shell-quoted.ts';
import type { Invocation } from './context.ts';
import { defaultConfigFile } from './options.ts';

/**
 * Returns what a user types before a command, at the place where this process runs. The hostname of a pod is its name.
 *
 * @param readsToken whether the command reads a token from standard input, so that it needs a terminal
 */
function programFor(
  { environment, script = '', isCheckout, host }: Invocation,
  readsToken: boolean,
): string {
  if (environment.KUBERNETES_SERVICE_HOST) {
    return `kubectl exec ${readsToken ? '-it ' : ''}${shellQuoted(host)} -- sallyport`;
  }
  // PATH does not lead to a folder that npm or pnpm has installed it in; otherwise npm links it under this name.
  if (/(^|\/)node_modules\/\.bin\/sallyport$/.test(script))
    return isCheckout ? 'npx -y pnpm@10 sallyport' : 'npx sallyport';
  if (basename(script) === 'sallyport' || !isCheckout) return 'sallyport';
  return 'npx -y pnpm@10 sallyport';
}

/**
 * Returns the script through which people who help users run this process (deploy/systemd/sallyport-helpdesk), as they call it;
 * undefined for everyone else. It changes what is printed, and nothing that is done.
 */
export function helpdeskScript({
  environment,
}: Pick<Invocation, 'environment'>): string | undefined {
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
  const pairs = words.slice(length);
  const key = [...words.slice(0, length), ...pairs.filter((_, at) => at % 2 === 0)].join(' ');
  const own = helpdeskWords.get(key)?.(...pairs.filter((_, at) => at % 2 === 1));
  return own && `${script} ${own.map(shellQuoted).join(' ')}`;
}

/** Returns a command to paste into a shell, after a colon. @param config `--config` as it was given to this process */
export function commandLine(
  start: Invocation,
  words: readonly string[],
  config?: string,
  readsToken = words.includes('--token'),
): string {
  const line = `${programFor(start, readsToken)} ${commandOf(start, words, config)}`;
  const script = helpdeskScript(start);
  if (script === undefined) return printable(line);
  return printable(helpdeskLine(script, words) ?? `ask an administrator to run: ${line}`);
}

/** Returns the command line of a command that reads a token, with or without `--token`. */
export function tokenCommandLine(start: Invocation, words: readonly string[]): string {
  return commandLine(start, words, undefined, true);
}

function commandOf(
  { environment }: Pick<Invocation, 'environment'>,
  words: readonly string[],
  config: string | undefined,
): string {
  // The administrator who runs the command for the helpdesk might use another config.
  const isDefault =
    config === defaultConfigFile &&
    !environment.SALLYPORT_CONFIG &&
    !environment.SALLYPORT_HELPDESK;
  const all = config === undefined || isDefault ? words : [...words, '--config', config];
  return all.map(shellQuoted).join(' ');
}

/**
 * Returns a command line for another account. It has no pnpm, which needs a home that it can write to: the account of a service has none.
 */
export function commandLineOfOther(
  start: Invocation,
  words: readonly string[],
  config?: string,
): string {
  const { isCheckout, script = '' } = start;
  if (!isCheckout) return commandLine(start, words, config);
  return printable(
    `${shellQuoted(process.execPath)} ${shellQuoted(script)} ${commandOf(start, words, config)}`,
  );
}

/** Makes the part of the help that has examples. @param examples a comment, a command, and `token` if the command asks for a token */
export function exampleText(
  start: Invocation,
  ...examples: readonly (readonly [comment: string, command: string, asks?: 'token'])[]
): string {
  const lines = examples.map(
    ([comment, command, asks]) =>
      `  # ${comment}\n  ${programFor(start, asks === 'token')} ${command}\n`,
  );
  return `\nExamples:\n${lines.join('\n')}`.trimEnd();
}
