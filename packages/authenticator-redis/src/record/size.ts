import type { ReadRecord } from './types.ts';

/** Characters. No record comes near it: a bigger value is a mistake, and everybody would wait while it is parsed. */
const most = 65_536;

/** Bytes that are read of a value: in UTF-8 none of these characters has more than three, so what is longer is too big. */
export const mostBytes: number = 3 * most;

export const tooBig: ReadRecord = { fault: `is too big: at most ${most} characters are read` };

/** @returns what is wrong with a value of that many characters, or undefined */
export function sizeFault(characters: number): ReadRecord | undefined {
  return characters <= most ? undefined : tooBig;
}
