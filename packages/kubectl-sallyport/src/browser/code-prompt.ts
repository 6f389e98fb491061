import { usageFailure } from '../failure.ts';
import { openTerminal } from '../terminal/terminal.ts';
import { readCode } from './listener.ts';
import { type Page, pages } from './pages.ts';

/** What the terminal shows before it asks for a code, and each time that it asks. */
export interface CodeQuestion {
  readonly introduction: string;
  readonly question: string;
}

/**
 * Asks for the code of the page until one is not refused. It is shown as it is typed: without its verifier it is worth nothing.
 *
 * @param take redeems a code
 * @throws Failure when the user ends it
 */
export async function askForCode(
  { introduction, question }: CodeQuestion,
  take: (code: string) => Promise<Page>,
  over: AbortSignal,
): Promise<void> {
  let preface = introduction;
  while (!over.aborted) {
    const code = readCode(await askOnce(preface + question, over));
    if (code === undefined)
      preface =
        'This is not a code. A code has 16 letters and digits, in the form XXXX-XXXX-XXXX-XXXX\n';
    else if ((await take(code)) === pages.refused)
      preface =
        'The login server refused this code. A code is valid once, for 60s, and for the URL above: go back in the browser for another one\n';
    else return;
  }
}

/** The terminal is free for Ctrl-C again while a code is redeemed. */
async function askOnce(question: string, over: AbortSignal): Promise<string> {
  using terminal = openTerminal();
  if (terminal === undefined) throw usageFailure('standard input is not a terminal');
  // `await` keeps the terminal open until there is an answer.
  return await terminal.ask(question, false, over);
}
