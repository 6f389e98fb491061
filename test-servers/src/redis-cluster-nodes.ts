import type { RedisServer } from './redis.ts';
import { waitUntil } from './wait-until.ts';

/** How many slots a cluster has, by its specification. */
const slotCount = 16_384;

/** A master and its replicas, with the slots that they serve, whichever of them is master. */
export interface Shard {
  readonly master: RedisServer;
  readonly replicas: readonly RedisServer[];
  readonly firstSlot: number;
  readonly lastSlot: number;
}

/** Slots in a row with one master, as a node sees them. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
  /** The port of the master, even when it is down, then those of its replicas that are in sync. */
  readonly ports: readonly number[];
}

/** The first nodes become masters, each with as many slots; the rest are dealt out to them as replicas. */
export function toShards(nodes: readonly RedisServer[], masters: number): Shard[] {
  const firstSlot = (index: number): number => Math.round((index * slotCount) / masters);
  const replicas = nodes.slice(masters);
  return nodes.slice(0, masters).map((master, index) => ({
    master,
    replicas: replicas.filter((_, dealt) => dealt % masters === index),
    firstSlot: firstSlot(index),
    lastSlot: firstSlot(index + 1) - 1,
  }));
}

/** Makes one cluster of nodes that know only themselves. It serves two seconds after they started, not earlier. */
export async function joinNodes(nodes: readonly RedisServer[], shards: readonly Shard[]): Promise<void> {
  await Promise.all(shards.map(({ master, firstSlot, lastSlot }) => ask(master, 'ADDSLOTSRANGE', firstSlot, lastSlot)));
  // Else they begin with the same one, and have to agree on others.
  await Promise.all(nodes.map((node, index) => ask(node, 'SET-CONFIG-EPOCH', index + 1)));
  const buses = await Promise.all(nodes.map(busPortOf));
  // Each meets each: they would find the others by hearsay too, but later.
  await Promise.all(
    nodes.flatMap((node, index) =>
      nodes.slice(0, index).map(({ port }, other) => ask(node, 'MEET', '127.0.0.1', port, buses[other] ?? 0)),
    ),
  );
  await waitUntil(
    async () => (await Promise.all(nodes.map((node) => hasMet(node, nodes.length)))).every(Boolean),
    'the nodes of a cluster to meet',
  );
  await Promise.all(
    shards.map(async ({ master, replicas }) => {
      const id = await ask(master, 'MYID');
      await Promise.all(replicas.map((replica) => ask(replica, 'REPLICATE', String(id))));
    }),
  );
}

/** Whether it would serve its slots. */
export async function isServing(node: RedisServer): Promise<boolean> {
  return String(await ask(node, 'INFO')).includes('cluster_state:ok');
}

export async function slotOf(node: RedisServer, key: string): Promise<number> {
  return Number(await ask(node, 'KEYSLOT', key));
}

export async function slotRangesOf(node: RedisServer): Promise<SlotRange[]> {
  const ranges = (await ask(node, 'SLOTS')) as [number, number, ...[string, number, string][]][];
  return ranges.map(([first, last, ...nodes]) => ({ first, last, ports: nodes.map(([, port]) => port) }));
}

async function busPortOf(node: RedisServer): Promise<string> {
  const [, port] = (await node.client().config('GET', 'cluster-port')) as [string, string];
  return port;
}

async function hasMet(node: RedisServer, count: number): Promise<boolean> {
  const known = String(await ask(node, 'NODES'));
  return known.trimEnd().split('\n').length === count && !known.includes('handshake');
}

function ask(node: RedisServer, ...command: readonly (string | number)[]): Promise<unknown> {
  return node.client().call('CLUSTER', ...command);
}
