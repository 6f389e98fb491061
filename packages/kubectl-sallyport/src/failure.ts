import { printable } from './text.ts';

/** The exit statuses of a command that fails. The README lists them. */
export const exitCodes = {
  /** There is no session, and none could be made; a login was refused. */
  failed: 1,
  /** The arguments are wrong, the server does not know the URL or the cluster, or the kubeconfig or the environment can't be used. */
  usage: 2,
  /** The login server is unavailable, or does not prove who it is. */
  unavailable: 3,
  /** The user typed Ctrl-C at a prompt. A shell reports SIGINT like this. */
  interrupted: 130,
};

interface FailureOptions extends ErrorOptions {
  /** Left out: `failed`. */
  readonly exitCode?: number;
}

/** Ends the command with a line for the user, and another one that says how to fix it. */
export class Failure extends Error {
  readonly problem: string;
  /** What to write or run instead. */
  readonly fix: string | undefined;
  readonly exitCode: number;

  constructor(
    problem: string,
    fix?: string,
    { exitCode = exitCodes.failed, ...options }: FailureOptions = {},
  ) {
    super(fix === undefined ? problem : `${problem}: ${fix}`, options);
    this.problem = problem;
    this.fix = fix;
    this.exitCode = exitCode;
  }
}

export function usageFailure(problem: string, fix?: string, options?: ErrorOptions): Failure {
  return new Failure(problem, fix, { ...options, exitCode: exitCodes.usage });
}

/** Shows an error on standard error. */
export function printFailure(error: unknown): void {
  if (error instanceof Failure) print(error.problem, error.fix);
  else print(readReason(error), undefined);
}

function print(text: string, fix: string | undefined): void {
  const second = fix === undefined ? '' : `  fix: ${printable(fix)}\n`;
  process.stderr.write(`kubectl-sallyport: ${printable(text)}\n${second}`);
}

/** Returns the part of an error of Node that is for users: `EACCES: permission denied, open '…'`. */
export function readReason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const fileReasons: Readonly<Record<string, string>> = {
  EACCES: 'you are not allowed to',
  EISDIR: 'it is a folder',
  ENOENT: 'there is no such file',
};

/** Returns why a file can't be read or written, for users. */
export function readFileReason(error: unknown): string {
  return fileReasons[readCode(error)] ?? readReason(error);
}

/** Returns the code of an error of Node, such as `ENOENT`; else an empty text. */
export function readCode(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}

/** Shows a warning on standard error: standard output is for kubectl. @param fix what to do about it */
export function warn(text: string, fix?: string): void {
  print(`warning: ${text}`, fix);
}
