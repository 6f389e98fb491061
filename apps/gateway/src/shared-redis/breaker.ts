import { createCircuitWindow } from '../chain/circuit.ts';

/** Keeps reviews from asking a Redis that is down or slow. */
export interface Breaker {
  readonly isOpen: boolean;
  /** What came of a call on the way of a review. */
  note(isOutage: boolean): void;
  /** What came of a call that no review waits for: only these find out whether Redis is well again. */
  probe(isOutage: boolean): void;
}

export interface BreakerDependencies {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly onChange: (isOpen: boolean) => void;
}

/** Calls of reviews in 10 s, half of them outages, that open it. */
const minimumCalls = 5;
/** Probes in a row that open it, so that no review has to find out. */
const badProbes = 2;
/** Probes in a row that close it. */
const goodProbes = 3;

export function createBreaker({ now, onChange }: BreakerDependencies): Breaker {
  const window = createCircuitWindow(now);
  let isOpen = false;
  let inARow = 0;

  const enter = (next: boolean) => {
    isOpen = next;
    inARow = 0;
    window.clear();
    onChange(next);
  };
  return {
    get isOpen() {
      return isOpen;
    },
    note(isOutage) {
      if (isOpen) return;
      window.record(isOutage);
      if (window.calls >= minimumCalls && window.outages * 2 >= window.calls) enter(true);
    },
    probe(isOutage) {
      // What speaks against the present state, in a row.
      inARow = isOutage === isOpen ? 0 : inARow + 1;
      if (inARow >= (isOpen ? goodProbes : badProbes)) enter(!isOpen);
    },
  };
}
