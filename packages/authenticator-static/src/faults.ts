/** What is wrong with a file of tokens, and how to mend it. Never holds a token, nor a digest in full. */
export interface Fault {
  /** From 1. */
  readonly line: number;
  /** From 1. Left out where only the line is known. */
  readonly column?: number;
  readonly message: string;
}

/** So many faults of a file are told; a reader stops when it has found them. */
export const mostFaults = 10;

/** A file of tokens that is refused as a whole: half a file would shut out whoever stands in the other half. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError';

  constructor(file: string, faults: readonly Fault[]) {
    const told = faults.slice(0, mostFaults).map(({ line, column, message }) => {
      return `${file}, line ${line}${column === undefined ? '' : `, column ${column}`}: ${message}`;
    });
    const more = faults.length >= mostFaults ? `\n(only the first ${mostFaults} faults are listed)` : '';
    super(told.join('\n') + more);
  }
}
