import type { Readable } from 'node:stream';
import type { LevelWithSilent, Logger } from 'pino';

/** A stream that a command prints on. */
export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** How the command was started, and so what a user types to start it again. */
export interface Invocation {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The path of the script that Node runs. */
  readonly script?: string | undefined;
  readonly isCheckout: boolean;
  /** `--config` as it was given, which the commands that this one prints repeat. */
  readonly config?: string | undefined;
}

/**
 * What a command has of the process that runs it. A command reads nothing of this from the process itself, so
 * that tests can run many commands in one process. Signals are not a part of it: they reach the whole process.
 */
export interface CommandContext extends Invocation {
  /** The command line, without Node and the script. */
  readonly words: readonly string[];
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Returns the working directory. @throws Error in a folder that was removed, which few commands need */
  readonly readFolder: () => string;
  /** Returns milliseconds since 1970. */
  readonly now: () => number;
  /** Makes a log on standard error, for parts that a gateway has too. */
  readonly createLogger: (level: LevelWithSilent) => Promise<Logger>;
}
