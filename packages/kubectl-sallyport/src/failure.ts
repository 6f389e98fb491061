import { printable } from './text.ts';

/** The command ends with one of these, or with 0. The README lists them. */
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

/** Returns the part of an error of Node that is for users: `EACCES: permission denied, open '…'`. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Returns the code of an error of Node, such as `ENOENT`; else an empty text. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}

/** Shows a warning on standard error: standard output is for kubectl. */
export function warn(text: string): void {
  process.stderr.write(`kubectl-sallyport: warning: ${printable(text)}\n`);
}
