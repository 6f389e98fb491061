/** The finished calls of the last 10 s. */
export interface CircuitWindow {
  /** Counts one more, now. */
  record(outage: boolean): void;
  readonly calls: number;
  readonly outages: number;
  clear(): void;
}

const span = 10_000;
const slice = 10;
/** One more than fit in the span: a call counts for all of 10 s, and for less than one slice longer. */
const slots = span / slice + 1;

/**
 * A ring of 10 ms slices with running totals: 8 KiB at any rate of calls, and as exact as a slice is long.
 *
 * @param now monotonic milliseconds
 */
export function createCircuitWindow(now: () => number): CircuitWindow {
  const callsOf = new Uint32Array(slots);
  const outagesOf = new Uint32Array(slots);
  let newest = Math.floor(now() / slice);
  let calls = 0;
  let outages = 0;

  const clear = () => {
    callsOf.fill(0);
    outagesOf.fill(0);
    calls = 0;
    outages = 0;
  };
  const forgetOld = () => {
    const current = Math.floor(now() / slice);
    if (current - newest >= slots) clear();
    else {
      for (let passed = newest + 1; passed <= current; passed++) {
        const slot = passed % slots;
        calls -= callsOf[slot] ?? 0;
        outages -= outagesOf[slot] ?? 0;
        callsOf[slot] = 0;
        outagesOf[slot] = 0;
      }
    }
    newest = Math.max(newest, current);
  };

  return {
    record(outage) {
      forgetOld();
      const slot = newest % slots;
      callsOf[slot] = (callsOf[slot] ?? 0) + 1;
      calls++;
      if (!outage) return;
      outagesOf[slot] = (outagesOf[slot] ?? 0) + 1;
      outages++;
    },
    get calls() {
      forgetOld();
      return calls;
    },
    get outages() {
      forgetOld();
      return outages;
    },
    clear,
  };
}
