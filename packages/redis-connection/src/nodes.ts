import type { Socket } from 'node:net';
import type { Cluster, Redis } from 'ioredis';
import { RedisProblem } from './problems.ts';

export type { Redis };
export type RedisClient = Redis | Cluster;

/** Asks the client itself: its class would load ioredis, which only those who connect need. */
export function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster;
}

const accepted = new WeakSet<Socket>();

/** Remembers a socket from the time that its server accepts the connection until it is closed. */
export function noteAccepted(socket: Socket): void {
  socket.on('connect', () => accepted.add(socket));
  socket.on('close', () => accepted.delete(socket));
}

/** Whether the server has accepted the connection of an attempt, and has not ended the TLS handshake. */
export function isInHandshake(client: RedisClient): boolean {
  if (isCluster(client) || client.status !== 'connecting') return false;
  const { stream } = client as { readonly stream?: Socket };
  return stream !== undefined && accepted.has(stream);
}

/** Closes all connections of a client immediately, in a cluster those to all nodes. The client connects again by itself. */
export function abandon(client: RedisClient, error: Error): void {
  const nodes = isCluster(client) ? client.nodes() : [client];
  for (const { stream } of nodes as readonly { readonly stream?: Socket }[]) stream?.destroy(error);
}

/** https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
const slotCount = 16_384;

/**
 * The servers that hold keys: the one server itself, or the current masters of the cluster.
 *
 * @throws RedisProblem unless all of them are known and connected, since a part of the keys is not enough
 */
export async function knownMasters(client: RedisClient): Promise<readonly Redis[]> {
  if (!isCluster(client)) return [client];
  await new Promise<void>((resolve, reject) => {
    client.refreshSlotsCache((error) => (error ? reject(error) : resolve()));
  });
  return listMasters(client);
}

function listMasters(client: Cluster): readonly Redis[] {
  const owners = new Set(Array.from({ length: slotCount }, (_, slot) => client.slots[slot]?.[0]));
  const nodes = new Map(
    client.nodes('master').map((node) => [`${node.options.host}:${node.options.port}`, node]),
  );
  return [...owners].map((owner) => {
    const node = owner === undefined ? undefined : nodes.get(owner);
    if (node !== undefined) return node;
    const problem =
      owner === undefined ? 'no node serves some of its slots' : `its node ${owner} is unreachable`;
    throw new RedisProblem('cluster', problem);
  });
}
