import type { Path, Problem } from './problems.ts';

/** What breaks a rule. Left out: the problem is at the first value that the rule reads. */
export type Broken = Omit<Problem, 'path'> & { readonly path?: Path };

/** What one value demands of others. */
export interface Rule {
  /** The values that it needs: it is judged when each of them is good by itself. A problem is at the first one. */
  readonly reads: readonly [Path, ...Path[]];
  readonly judge: () => Broken | undefined;
}
