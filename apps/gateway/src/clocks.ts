/** Milliseconds. */
export interface Clocks {
  /** Never set back: for durations and deadlines. */
  readonly monotonic: () => number;
  /** Since 1970. */
  readonly wall: () => number;
}

export const systemClocks: Clocks = { monotonic: () => performance.now(), wall: () => Date.now() };
