/** The choices of a soak, which a seed repeats. */
import { seededRandom } from '../testing/seeded-random.ts';

export interface Random {
  /** Returns a number in [0, 1). */
  readonly next: () => number;
  readonly choose: <One>(some: readonly One[]) => One;
}

/** @param seed equal seeds give equal choices */
export function createRandom(seed: number): Random {
  const next = seededRandom(seed);
  return {
    next,
    choose<One>(some: readonly One[]) {
      if (some.length === 0) throw new Error('there is nothing to choose from');
      return some[Math.floor(next() * some.length)] as One;
    },
  };
}
