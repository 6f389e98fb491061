import { type Path, type Problem, type ProblemWords, suggestNearest } from './problems.ts';

/** A Rule is what one value demands of others. */
export interface Rule {
  /** The values that it needs. It is checked if each of them is valid by itself. */
  readonly reads: readonly [Path, ...Path[]];
  /** Returns what breaks the rule. A problem without a path is at the first value that the rule reads. */
  readonly check: () => (Omit<Problem, 'path'> & { readonly path?: Path }) | false | undefined;
}

/** Makes a rule with one problem. Its words are made even if a value is not valid. */
export function makeRule(
  reads: Rule['reads'],
  isBroken: () => boolean,
  problem: Omit<Problem, 'path'>,
): Rule {
  return { reads, check: () => isBroken() && problem };
}

/** Splits keys such as `server.listen`. */
export function at(keys: string): Path {
  return keys.split('.');
}

export function ofEntry(index: number, keys: string): Path {
  return ['authenticators', index, ...at(keys)];
}

/** Describes a name of an authenticator that the file does not have. @param advice the fix if no candidate is near */
export function describeUnknownName(
  name: string,
  candidates: readonly string[],
  advice: string,
): ProblemWords {
  return {
    message: `${JSON.stringify(name)} is not an authenticator of this file`,
    fix: suggestNearest(name, candidates, advice),
  };
}
