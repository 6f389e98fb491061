import { Cluster, type Redis } from 'ioredis';
import type { RedisClient } from './client.ts';
import { RedisProblem } from './redis-problem.ts';

/** Of a Redis Cluster (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/). */
const slotCount = 16_384;

/**
 * Each server that holds keys of its own: the one server itself, or the masters of the cluster as it is now.
 *
 * @throws RedisProblem when they are not all known and connected: what the others hold is not all there is
 */
export async function knownMasters(client: RedisClient): Promise<readonly Redis[]> {
  if (!(client instanceof Cluster)) return [client];
  await new Promise<void>((resolve, reject) => {
    client.refreshSlotsCache((error) => (error ? reject(error) : resolve()));
  });
  return mastersOf(client);
}

function mastersOf(client: Cluster): readonly Redis[] {
  const owners = new Set(Array.from({ length: slotCount }, (_, slot) => client.slots[slot]?.[0]));
  const nodes = new Map(client.nodes('master').map((node) => [`${node.options.host}:${node.options.port}`, node]));
  return [...owners].map((owner) => {
    const node = owner === undefined ? undefined : nodes.get(owner);
    if (node !== undefined) return node;
    const problem = owner === undefined ? 'no node serves some of its slots' : `its node ${owner} is not reached`;
    throw new RedisProblem('cluster', problem);
  });
}
