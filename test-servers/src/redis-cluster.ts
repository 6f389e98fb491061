import { type Authority, createAuthority } from './certificates.ts';
import { newPassword } from './passwords.ts';
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts';
import {
  isServing,
  joinNodes,
  type Shard,
  type SlotRange,
  slotOf,
  slotRangesOf,
  toShards,
} from './redis-cluster-nodes.ts';
import { untilInSync } from './redis-replication.ts';
import { startAll } from './start-all.ts';
import { waitFor } from './wait-until.ts';

/** What is asked for of a Redis holds for all nodes. */
export interface ClusterOptions extends Omit<RedisOptions, 'cluster'> {
  /** Default 3. Of fewer, none is ever replaced: most of them have to find that one is down. */
  readonly masters?: number;
  /** Default 1. */
  readonly replicasPerMaster?: number;
}

/** A cluster: when a master goes, one of its replicas takes its place, and its slots, two or three seconds later. */
export interface RedisCluster extends AsyncDisposable {
  /** Those that begin as masters come first, in the order of their slots, of which each has as many. */
  readonly nodes: readonly RedisServer[];
  /** `redis://127.0.0.1:PORT` of each node. */
  readonly urls: readonly string[];
  readonly authority: Authority;
  readonly caFile: string;
  /** Of the default user, on all nodes, if it has one. */
  readonly password: string | undefined;
  /** Whose slot the key is in, as the first node that runs sees it. */
  masterOf(key: string): Promise<RedisServer>;
  /** Those that have slots, in the order of these, as the first node that runs sees it. */
  masters(): Promise<readonly RedisServer[]>;
  /** Waits until, for each other node that runs, another than `old` has its slots, and the cluster serves. */
  untilPromoted(old: RedisServer): Promise<RedisServer>;
  /** Once all run again: waits until each finds that all slots are served, with replicas that are in sync. */
  untilSettled(): Promise<void>;
}

const clusterSettings = {
  'cluster-announce-ip': '127.0.0.1',
  // Of an answer, in ms: what takes longer is down.
  'cluster-node-timeout': '1000',
  // When slots are lost, the others serve on: that is how large clusters are run, and the more awkward for clients.
  'cluster-require-full-coverage': 'no',
  // A replica takes its master's place, however long it has not heard from it, and never moves to another master.
  'cluster-replica-validity-factor': '0',
  'cluster-allow-replica-migration': 'no',
  // Only a replica that was sent something counts as one; else that comes after 10 s.
  'repl-ping-replica-period': '1',
};

/** Starts the nodes and makes a cluster of them, in three seconds. It is settled (see `untilSettled`). */
export async function startCluster(options: ClusterOptions = {}): Promise<RedisCluster> {
  await using resources = new AsyncDisposableStack();
  const { masters = 3, replicasPerMaster = 1, ...asked } = options;
  const authority = options.authority ?? resources.use(await createAuthority());
  const password = options.password === true ? newPassword() : options.password || undefined;
  const settings = { ...clusterSettings, ...options.settings };
  const nodeOptions = { ...asked, authority, password: password ?? false, settings, cluster: true };
  const nodes = await startAll(resources, masters * (1 + replicasPerMaster), () => startRedis(nodeOptions));
  const shards = toShards(nodes, masters);
  await joinNodes(nodes, shards);
  await untilSettled(nodes, shards);
  const owned = resources.move();
  return {
    nodes,
    urls: nodes.map(({ url }) => url),
    authority,
    caFile: authority.certificateFile,
    password,
    ...ownership(nodes, shards),
    untilSettled: () => untilSettled(nodes, shards),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function untilSettled(nodes: readonly RedisServer[], shards: readonly Shard[]): Promise<void> {
  const masters = await waitFor(async () => {
    const views = await Promise.all(nodes.map(slotRangesOf));
    const seen = new Set(views.flat().map(({ ports: [master] }) => master));
    // As many masters in all views as there are in each: they agree.
    const isAgreed = seen.size === shards.length;
    const isWhole = views.every((view) => shards.every((shard) => isComplete(shard, view)));
    return isAgreed && isWhole && (await Promise.all(nodes.map(isServing))).every(Boolean) ? seen : undefined;
  }, 'a cluster to settle');
  await Promise.all(nodes.filter(({ port }) => !masters.has(port)).map(untilInSync));
}

function isComplete({ firstSlot, lastSlot, replicas }: Shard, view: readonly SlotRange[]): boolean {
  const range = view.find(({ first, last }) => first === firstSlot && last === lastSlot);
  return range?.ports.length === 1 + replicas.length;
}

function ownership(
  nodes: readonly RedisServer[],
  shards: readonly Shard[],
): Pick<RedisCluster, 'masterOf' | 'masters' | 'untilPromoted'> {
  const running = (): RedisServer[] => nodes.filter(({ isRunning }) => isRunning);

  async function ownerOf(slot: number, view: RedisServer): Promise<RedisServer | undefined> {
    const range = (await slotRangesOf(view)).find(({ first, last }) => first <= slot && slot <= last);
    return nodes.find(({ port }) => port === range?.ports[0]);
  }

  async function masterOf(slotAt: (node: RedisServer) => number | Promise<number>): Promise<RedisServer> {
    const [view] = running();
    if (view === undefined) throw new Error('no node of the cluster runs');
    const slot = await slotAt(view);
    const master = await ownerOf(slot, view);
    if (master === undefined) throw new Error(`slot ${slot} is nobody's`);
    return master;
  }

  return {
    masterOf: (key) => masterOf((node) => slotOf(node, key)),
    masters: () => Promise.all(shards.map(({ firstSlot }) => masterOf(() => firstSlot))),
    async untilPromoted(old) {
      const shard = shards.find(({ master, replicas }) => master === old || replicas.includes(old));
      if (shard === undefined) throw new Error('that node is of another cluster');
      return waitFor(async () => {
        const views = running().filter((node) => node !== old);
        const [owner, ...more] = new Set(await Promise.all(views.map((view) => ownerOf(shard.firstSlot, view))));
        const isAgreed = owner !== old && more.length === 0;
        return isAgreed && (await Promise.all(views.map(isServing))).every(Boolean) ? owner : undefined;
      }, 'a replica to take over in the cluster');
    },
  };
}
