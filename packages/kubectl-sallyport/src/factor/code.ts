import { usageFailure } from '../failure.ts';
import type { ServerRefusal } from '../server/refusal.ts';
import { openTerminal } from '../terminal/terminal.ts';
import { printable } from '../text.ts';

/** How many codes are tried with one password. */
export const maxCodes = 3;

/** Whether a user can prove a second factor in a browser alone. A code of the user may be left, but no app. */
export function isPasskeyAlone({ methods }: ServerRefusal): boolean {
  return methods.length > 0 && !methods.includes('totp');
}

interface CodeOptions<Answer> {
  /** The command that uses the passkey of a user who has both. */
  readonly browser?: string;
  /** The message about a question without an answer says this. */
  readonly result?: string;
  /** What proves the user otherwise, after Enter alone. */
  readonly instead?: { readonly name: string; prove(): Promise<Answer | ServerRefusal> };
}

/**
 * Asks for the code of a second factor, and sends it.
 *
 * @param required the answer to the right password
 * @returns the last answer. `wrong-code`: no code was right
 */
export async function withCode<Answer extends object>(
  required: ServerRefusal,
  send: (code: string) => Promise<Answer | ServerRefusal>,
  { browser, result, instead }: CodeOptions<Answer>,
): Promise<Answer | ServerRefusal> {
  const { methods } = required;
  if (methods.includes('passkey') && browser !== undefined)
    process.stderr.write(`To use your passkey instead, press Ctrl-C and run: ${browser}\n`);
  if (instead !== undefined)
    process.stderr.write(`To use ${instead.name} instead, press Enter alone\n`);
  const question =
    methods.length === 0
      ? 'Recovery code: '
      : 'Code (from your authenticator app, or a recovery code): ';
  for (let attemptsLeft = maxCodes; ; attemptsLeft--) {
    const code = await askOnce(question, instead !== undefined, result);
    if (code === '' && instead !== undefined) return await instead.prove();
    const answer = await send(code);
    if (!('refused' in answer) || answer.refused !== 'wrong-credentials') return answer;
    if (attemptsLeft === 1) {
      process.stderr.write('After several wrong codes, none is checked for some minutes\n');
      return { ...answer, refused: 'wrong-code' };
    }
    const problem = printable(answer.message) || 'the code was refused';
    process.stderr.write(
      `${problem}. Each code works once: wait until your app shows the next one\n`,
    );
  }
}

/** The code is shown as it is typed: it is worth nothing a minute later. The terminal is free for Ctrl-C while it is sent. */
async function askOnce(question: string, mayBeEmpty: boolean, result?: string): Promise<string> {
  using terminal = openTerminal(result);
  if (terminal === undefined)
    throw usageFailure('standard input is not a terminal', 'run this in a terminal');
  const code = (await terminal.ask(question, false)).trim();
  if (code === '' && !mayBeEmpty)
    throw usageFailure(
      `the code is empty: ${terminal.result}`,
      'type the code that your app shows, or a recovery code',
    );
  return code;
}
