import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { text } from 'node:stream/consumers';
import type { PromptLimit } from './cache/prompt-limit.ts';
import { reasonOf, usageFailure } from './failure.ts';
import type { Target } from './target.ts';
import { ask } from './terminal/ask.ts';
import { openTerminal } from './terminal/terminal.ts';
import { printable } from './text.ts';

/** Where names and passwords come from. */
export interface PasswordSource {
  /** True: a user is asked, and may not be there. */
  readonly isPrompt: boolean;
  /** How the user finds the session in a list. */
  readonly device: string;
  /** @throws Failure when there is none */
  read(target: Target, prompts: PromptLimit): Promise<{ readonly username: string; readonly password: string }>;
  /** Shows a line. Not on standard output, which is for kubectl. */
  say(line: string): void;
}

interface SourceOptions {
  readonly device: string | undefined;
  /** False: standard input is not the user's terminal, or is for another program. */
  readonly mayAsk: boolean;
  readonly passwordStdin?: boolean | undefined;
}

/** @returns undefined when there is no password to be had */
export function passwordSource({ device, mayAsk, passwordStdin = false }: SourceOptions): PasswordSource | undefined {
  const common = { device: deviceName(device), say: (line: string) => void process.stderr.write(`${line}\n`) };
  const file = process.env.SALLYPORT_PASSWORD_FILE;
  if (passwordStdin) return { ...common, isPrompt: false, read: (target) => fromText(target, text(process.stdin)) };
  if (file) return { ...common, isPrompt: false, read: (target) => fromText(target, readPasswordFile(file)) };
  return mayAsk && process.stdin.isTTY ? { ...common, isPrompt: true, read: fromTerminal } : undefined;
}

/** What the server allows. */
function deviceName(given: string | undefined): string {
  const name = given ?? process.env.SALLYPORT_DEVICE ?? hostname();
  return printable(name).replaceAll('\u{fffd}', '').slice(0, 64).toWellFormed() || 'unknown';
}

async function readPasswordFile(file: string): Promise<string> {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw usageFailure(`SALLYPORT_PASSWORD_FILE: cannot read ${file}: ${reasonOf(cause)}`, { cause });
  }
}

async function fromText({ username }: Target, found: Promise<string>): Promise<{ username: string; password: string }> {
  if (username === undefined) {
    throw usageFailure('there is a password but no name: set --username or SALLYPORT_USERNAME');
  }
  // Editors and `echo` end a file with a line break, which is no part of a password.
  const password = (await found).replace(/\r?\n$/, '');
  if (password === '') throw usageFailure('the password is empty');
  return { username, password };
}

async function fromTerminal(target: Target, prompts: PromptLimit): Promise<{ username: string; password: string }> {
  using terminal = openTerminal();
  if (terminal === undefined) throw usageFailure('standard input is no terminal');
  prompts.begin();
  terminal.write(`Log in to cluster ${printable(target.cluster)} at ${target.url}\n`);
  const username = target.username ?? (await askName((question) => ask(terminal, question, false)));
  const password = await ask(terminal, `Password of ${printable(username)}: `, true);
  if (password === '') throw usageFailure('the password is empty: not logged in');
  return { username, password };
}

async function askName(askLine: (question: string) => Promise<string>): Promise<string> {
  const usual = nameOfUser();
  const typed = (await askLine(usual === undefined ? 'Username: ' : `Username [${printable(usual)}]: `)).trim();
  const username = typed || usual;
  if (username === undefined) throw usageFailure('the name is empty: not logged in');
  return username;
}

/** A user of a container may have no name. */
function nameOfUser(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return;
  }
}
