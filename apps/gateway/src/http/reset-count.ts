/** kube-apiserver resets a review only after it has waited for 30 s. */
const resetsPerSecond = 33;

/**
 * Counts the requests of an HTTP/2 session that its client resets before the answer. Each has begun a review, and lets
 * the client begin the next one immediately (rapid reset, CVE-2023-44487). All open requests can be reset together.
 * Node's own limit (`streamResetBurst`) ends a session too late and too often: see docs/contributing/decisions.md.
 *
 * @param streams that may be open at a time
 * @param now monotonic milliseconds
 * @returns a function that counts one reset, and returns false if there were too many
 */
export function createResetCount(streams: number, now: () => number): () => boolean {
  let remaining = streams;
  let countedAt = now();
  return () => {
    remaining = Math.min(streams, remaining + ((now() - countedAt) / 1000) * resetsPerSecond);
    countedAt = now();
    remaining -= 1;
    return remaining >= 0;
  };
}
