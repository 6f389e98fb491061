import { createCircuitWindow } from '../chain/circuit.ts';

/** The circuit opens when reviews made at least this many calls in 10 s, and half of them were outages. */
const minimumCalls = 5;
/** This many failed probes in a row open it, so that no review has to find out. */
const failedProbes = 2;
/** This many successful probes in a row close it. */
const successfulProbes = 3;

/** Makes the circuit that keeps reviews from calling a Redis that is down or slow. @param now monotonic milliseconds */
export function createRedisCircuit(now: () => number, onChange: (isOpen: boolean) => void) {
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
    /** Counts the outcome of a call on the path of a review. */
    record(isOutage: boolean) {
      if (isOpen) return;
      window.record(isOutage);
      // An answer never opens it, as in chain/circuit.ts.
      if (!isOutage) return;
      const { calls, outages } = window.counts();
      if (calls >= minimumCalls && outages * 2 >= calls) enter(true);
    },
    /** Counts the outcome of a call that no review waits for: only these close the circuit. */
    probe(isOutage: boolean) {
      // Counts the probes in a row that contradict the present state.
      inARow = isOutage === isOpen ? 0 : inARow + 1;
      if (inARow >= (isOpen ? successfulProbes : failedProbes)) enter(!isOpen);
    },
  };
}
