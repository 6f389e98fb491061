/** Two clocks, which count milliseconds. */
export interface Clocks {
  /** It is never set back, so durations and deadlines need it. */
  readonly monotonic: () => number;
  /** It counts from 1970, and can be set. */
  readonly wall: () => number;
}

export const systemClocks: Clocks = { monotonic: () => performance.now(), wall: () => Date.now() };
