/**
 * Upper bounds in seconds, from an answer out of memory (50 µs) to the longest review. Between 1 and 5 the steps are
 * small, and 3 and 10 are the defaults of `timeout` and `reviewTimeout`: what came in time is told from what did not.
 */
export const durationBuckets: readonly number[] = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10,
];
