import { maxConcurrentStreams } from './limits.ts';

/** kube-apiserver resets a review only when it has waited for 30 s. */
const perSecond = 33;

/**
 * Counts the requests of one HTTP/2 session that its client reset before they were answered: each began a review, and
 * let the client begin the next at once (rapid reset, CVE-2023-44487). All that may be open can be reset at once.
 *
 * Node's own limit (`streamResetBurst`) ends a session too late and too often. One read of 64 KiB holds 2,400 requests
 * with their resets, and all of them begin before its GOAWAY is out. And it counts the resets of Go's client as well,
 * which gives up a body when its error answer has come: some hundred tokens over `maxBodySize`, sent to kube-apiserver
 * by any user, would end the session for all others.
 *
 * @param now monotonic milliseconds
 * @returns counts one; false: there were too many
 */
export function createResetCount(now: () => number): () => boolean {
  let left = maxConcurrentStreams;
  let at = now();
  return () => {
    left = Math.min(maxConcurrentStreams, left + ((now() - at) / 1000) * perSecond);
    at = now();
    left -= 1;
    return left >= 0;
  };
}
