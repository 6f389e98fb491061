import type { Clocks } from '../clocks.ts';
import { createRevocationList, type RevocationList } from './list.ts';
import { createRevocationReader, type ReaderDependencies, type RevocationReader } from './reader.ts';
import { createSharedClock } from './shared-clock.ts';
import type { Revocations } from './types.ts';

/** Who is stopped, as one process knows it, and how it keeps up with all others. */
export interface Stopping {
  readonly list: RevocationList;
  readonly reader: RevocationReader;
  /** Both of them, as a cache asks them. */
  readonly revocations: Revocations;
}

export interface StoppingDependencies extends Omit<ReaderDependencies, 'list' | 'sharedClock'> {
  readonly clocks: Clocks;
}

export function createStopping(dependencies: StoppingDependencies): Stopping {
  const { clocks } = dependencies;
  const sharedClock = createSharedClock(clocks);
  const list = createRevocationList(sharedClock.now, clocks.wall);
  const reader = createRevocationReader({ ...dependencies, list, sharedClock });
  const revocations: Revocations = {
    get revision() {
      return list.revision;
    },
    get isCutOff() {
      return reader.isCutOff;
    },
    isRevoked: list.isRevoked,
  };
  return { list, reader, revocations };
}
