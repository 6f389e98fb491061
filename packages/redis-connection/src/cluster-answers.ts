import { WireError } from './wire-error.ts';

// ioredis 6.0.0 uses these answers of a cluster unchecked, in timers and callbacks, where an error ends the process.

/** https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
const lastSlot = 16_383;

/**
 * Nodes of one answer: ioredis connects to all of them at once, and 2,000 took 2,000 file descriptors and stopped the
 * process for seconds.
 */
const mostNodes = 256;

/** @param message of an error of Redis. @throws WireError for a redirection that can't be followed */
export function requireRedirection(message: string): void {
  if (/^(MOVED|ASK)( |$)/.test(message) && !/^(MOVED|ASK) \d{1,5} \S*:\d{1,5}$/.test(message)) {
    throw new WireError('a redirection that names no node');
  }
}

/** @param reply to CLUSTER SLOTS. @throws WireError for one that CLUSTER SLOTS does not give */
export function requireSlots(reply: unknown): void {
  if (!Array.isArray(reply) || !reply.every(isRange)) throw new WireError('slots that no cluster has');
  const nodes = new Set(reply.flatMap(([, , ...owners]) => owners.map(([host, port]: unknown[]) => `${host}:${port}`)));
  if (nodes.size > mostNodes) throw new WireError('slots that no cluster has');
}

/** The first and the last slot of a range, then the nodes that have it. */
function isRange(range: unknown): boolean {
  if (!Array.isArray(range)) return false;
  const [first, last, ...nodes] = range;
  return isUpTo(first, lastSlot) && isUpTo(last, lastSlot) && first <= last && nodes.every(isNode);
}

/** Its host, null where the cluster does not know it, and its port; then what ioredis does not read. */
function isNode(node: unknown): boolean {
  if (!Array.isArray(node)) return false;
  const [host, port] = node;
  return (host === null || Buffer.isBuffer(host)) && isUpTo(port, 65_535);
}

function isUpTo(value: unknown, most: number): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= most;
}
