import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { text } from 'node:stream/consumers';
import type { CacheStore } from './cache/store.ts';
import { readFileReason, usageFailure } from './failure.ts';
import { quietly } from './files.ts';
import type { Target } from './target.ts';
import { openTerminal, type Terminal } from './terminal/terminal.ts';
import { printable } from './text.ts';

export type PasswordSource = NonNullable<ReturnType<typeof passwordSource>>;

/**
 * Finds where names and passwords come from.
 *
 * @param mayAsk is false when standard input is not the user's terminal, or is for another program
 */
export function passwordSource(mayAsk: boolean, fromStdin = false) {
  const file = process.env.SALLYPORT_PASSWORD_FILE;
  const isPrompt = !fromStdin && !file;
  if (isPrompt && !(mayAsk && process.stdin.isTTY)) return;
  // After a wrong password, the name is most likely right.
  let lastName: string | undefined;
  return {
    /** Whether a user is asked, who might not be there. */
    isPrompt,
    /** Says what to check when a password is wrong. */
    check: fromStdin
      ? 'the password on standard input'
      : file
        ? `the password, the only text in ${file}`
        : 'the password',
    /** Reads a name and a password. @throws Failure when there is none */
    async read(target: Target, store: CacheStore) {
      if (fromStdin) return fromText(target, () => text(process.stdin));
      if (file) return fromText(target, () => readPasswordFile(file));
      const typed = await fromTerminal(target, store, lastName);
      lastName = typed.username;
      return typed;
    },
  };
}

/** Makes a name of a device that the server allows. By it the user finds the session in a list. */
export function deviceName(deviceOption: string | undefined): string {
  const name = deviceOption ?? process.env.SALLYPORT_DEVICE ?? hostname();
  return printable(name).replaceAll('\u{fffd}', '').slice(0, 64).toWellFormed() || 'unknown';
}

function readPasswordFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const problem = `SALLYPORT_PASSWORD_FILE: can't read ${file}: ${readFileReason(cause)}`;
    throw usageFailure(problem, 'check the path in SALLYPORT_PASSWORD_FILE', { cause });
  }
}

/** Reads a password. Without a name, nothing is read. */
async function fromText({ username }: Target, readText: () => string | Promise<string>) {
  if (username === undefined) {
    throw usageFailure('there is a password but no name', 'set --username or SALLYPORT_USERNAME');
  }
  // Editors and `echo` end a file with a line break, which is not part of a password.
  const password = (await readText()).replace(/\r?\n$/, '');
  if (password === '')
    throw usageFailure(
      'the password is empty',
      'check what writes it to the file or to standard input',
    );
  return { username, password };
}

async function fromTerminal(target: Target, store: CacheStore, lastName?: string) {
  using terminal = openTerminal();
  if (terminal === undefined) throw usageFailure('standard input is not a terminal');
  const sessions = store.sessionsOfServer().map(({ session }) => session);
  terminal.write(`Log in to cluster ${printable(target.cluster)} at ${target.url}\n`);
  const otherSessions = sessions.filter(
    ({ cluster, expiresAt }) => cluster !== target.cluster && expiresAt > Date.now(),
  );
  if (otherSessions.length > 0) {
    const clusters = [...new Set(otherSessions.map(({ cluster }) => printable(cluster)))].join(
      ', ',
    );
    terminal.write(`Each cluster needs a login of its own. You stay logged in to ${clusters}\n`);
  }
  // The user of a login in the browser has a prefix, which the directory does not know.
  const typed = sessions.find(({ proposal }) => proposal === undefined);
  return await askCredentials(terminal, target.username, lastName ?? typed?.username);
}

/**
 * Asks for a name and a password.
 *
 * @param knownName the name, if there is no choice
 * @param usual the answer of Enter alone. Default: the name of the account on this machine
 */
export async function askCredentials(
  terminal: Terminal,
  knownName: string | undefined,
  usual: string = accountName(),
) {
  const username = knownName ?? (await askName(terminal, usual));
  const password = await terminal.ask(`Password of ${printable(username)}: `, true);
  if (password === '') throw usageFailure(`the password is empty: ${terminal.result}`);
  return { username, password };
}

/** Returns the name of the account. It is empty for a user of a container without a name. */
function accountName(): string {
  let name = '';
  quietly(() => {
    name = userInfo().username;
  });
  return name;
}

/** Asks for a name. @param usual is the answer of Enter alone, unless it is empty */
async function askName(terminal: Terminal, usual: string): Promise<string> {
  const typed = await terminal.ask(
    usual === '' ? 'Username: ' : `Username [${printable(usual)}]: `,
    false,
  );
  const username = typed.trim() || usual;
  if (username === '') throw usageFailure(`the name is empty: ${terminal.result}`);
  return username;
}
