import { printable } from './text.ts';

/** What the command ends with, unless it is 0. The README lists them. */
export const exitCodes = {
  /** There is no session, and none could be made; a login was refused. */
  failed: 1,
  /** Wrong arguments, a URL or a cluster that the server does not know, or a kubeconfig or an environment that can't be used. */
  usage: 2,
  /** The login server is away, or does not prove who it is. */
  unavailable: 3,
  /** Ctrl-C at a prompt. As a shell reports SIGINT. */
  interrupted: 130,
};

/** Ends the command with one line for the user, who can do something about it. */
export class Failure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = exitCodes.failed, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export function usageFailure(message: string, options?: ErrorOptions): Failure {
  return new Failure(message, exitCodes.usage, options);
}

/** The part of an error of Node that is for users: `EACCES: permission denied, open '…'`. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The code of an error of Node, such as `ENOENT`; else an empty text. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}

/** Shows what ends nothing. Not on standard output, which is for kubectl. */
export function warn(text: string): void {
  process.stderr.write(`kubectl-sallyport: warning: ${printable(text)}\n`);
}
