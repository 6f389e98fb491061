import type { ReadRecord } from './types.ts';

/** Characters. No record comes near it: a bigger value is a mistake, and everybody would wait while it is parsed. */
const most = 65_536;

/** @returns what is wrong with a value of that many characters, or undefined */
export function sizeFault(characters: number): ReadRecord | undefined {
  return characters <= most ? undefined : { fault: `is too big: ${characters} characters, at most ${most} are read` };
}
