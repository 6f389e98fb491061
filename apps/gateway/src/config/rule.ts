import type { Path, Problem } from './problems.ts';

/** A Rule is what one value demands of others. */
export interface Rule {
  /** The values that it needs. It is checked if each of them is valid by itself. */
  readonly reads: readonly [Path, ...Path[]];
  /** Returns what breaks the rule. A problem without a path is at the first value that the rule reads. */
  readonly check: () => (Omit<Problem, 'path'> & { readonly path?: Path }) | false | undefined;
}

/** Splits keys such as `server.listen`. */
export function at(keys: string): Path {
  return keys.split('.');
}

export function ofEntry(index: number, keys: string): Path {
  return ['authenticators', index, ...at(keys)];
}
