import { isUtf8 } from 'node:buffer';

/** A problem in a file of tokens, and how to fix it. It never contains a token, nor a whole digest. */
export interface Problem {
  /** From 1. */
  readonly line: number;
  /** From 1. Left out where only the line is known. */
  readonly column?: number;
  readonly message: string;
}

/** The most problems of a file that are reported. A reader stops when it has found them. */
export const mostProblems = 10;

/** A file of tokens that is refused as a whole: half a file would lock out the users of the other half. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError';

  constructor(file: string, problems: readonly Problem[]) {
    const lines = problems.slice(0, mostProblems).map(({ line, column, message }) => {
      return `${file}, line ${line}${column === undefined ? '' : `, column ${column}`}: ${message}`;
    });
    if (problems.length >= mostProblems) lines.push(`(only the first ${mostProblems} problems are listed)`);
    super(lines.join('\n'));
  }
}

/** Readers yield to the event loop after slices of about this many characters, so that reviews go on during a reload. */
export const sliceLength: number = 64 * 1024;

/** A part of a file that can be parsed by itself. */
export interface Slice {
  readonly text: string;
  /** The line of the file, from 1, of the text's first line. */
  readonly line: number;
}

/**
 * The file's text, with its byte order mark.
 *
 * @throws TokenFileError when it is not UTF-8: otherwise two names or tokens could become the same
 */
export function decode(file: string, content: Buffer): string {
  if (!isUtf8(content)) throw new TokenFileError(file, invalidLines(content));
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(content);
}

function invalidLines(content: Buffer): Problem[] {
  const problems: Problem[] = [];
  let start = 0;
  for (let line = 1; start < content.length && problems.length < mostProblems; line++) {
    const newline = content.indexOf(0x0a, start);
    const end = newline === -1 ? content.length : newline + 1;
    if (!isUtf8(content.subarray(start, end))) problems.push({ line, message: 'not UTF-8: save the file as UTF-8' });
    start = end;
  }
  return problems;
}
