import { isUtf8 } from 'node:buffer';
import { type Fault, mostFaults, TokenFileError } from './faults.ts';

/** Parsing hands the event loop back after a slice of about so many characters: reviews go on during a reload. */
export const sliceLength: number = 64 * 1024;

/** A part of a file that can be parsed by itself. */
export interface Slice {
  readonly text: string;
  /** The line of the file, from 1, that the text's first line is. */
  readonly line: number;
}

/**
 * The file's text, a byte order mark included.
 *
 * @throws TokenFileError when it is not UTF-8: decoded all the same, two names or tokens could become one
 */
export function decode(file: string, content: Buffer): string {
  if (!isUtf8(content)) throw new TokenFileError(file, invalidLines(content));
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(content);
}

function invalidLines(content: Buffer): Fault[] {
  const faults: Fault[] = [];
  let start = 0;
  for (let line = 1; start < content.length && faults.length < mostFaults; line++) {
    const newline = content.indexOf(0x0a, start);
    const end = newline === -1 ? content.length : newline + 1;
    if (!isUtf8(content.subarray(start, end))) faults.push({ line, message: 'not UTF-8: save the file as UTF-8' });
    start = end;
  }
  return faults;
}
