/** Milliseconds: of a Sentinel's or Cluster's failover the end is met within a second or so. */
const longest = 1_000;
const shortest = 50;

/**
 * How long to wait before the next try to connect. Doubled each time up to a second, half of it at random: so that a
 * hundred gateways do not come back to a server that was restarted in one moment.
 *
 * @param attempt from 1
 * @param random in [0, 1)
 */
export function retryDelay(attempt: number, random: number): number {
  const most = Math.min(longest, shortest * 2 ** (attempt - 1));
  return Math.round(most / 2 + (random * most) / 2);
}
