import { type Authority, sharedAuthority } from './certificates.ts';
import { newPassword } from './passwords.ts';
import { type RedisOptions, type RedisServer, startRedis, untilInSync } from './redis.ts';
import { startAll } from './server-process.ts';
import { waitFor } from './wait-for.ts';

/** The options of a cluster. Those of a Redis hold for all nodes. */
export interface ClusterOptions extends Omit<RedisOptions, 'cluster'> {
  /** Default 3. Fewer can't replace one that fails: a majority must see that it is down. */
  readonly masters?: number;
  /** Default 1. */
  readonly replicasPerMaster?: number;
}

/** A cluster. Two or three seconds after a master fails, one of its replicas takes its place and its slots. */
export interface RedisCluster extends AsyncDisposable {
  /** The nodes. The first ones start as masters, in the order of their slots, and each has as many slots. */
  readonly nodes: readonly RedisServer[];
  /** `redis://127.0.0.1:PORT` of each node. */
  readonly urls: readonly string[];
  readonly authority: Authority;
  readonly caFile: string;
  /** The password of the default user on all nodes, if it has one. */
  readonly password: string | undefined;
  /** The master of the key's slot, as the first node that runs sees it. */
  masterOf(key: string): Promise<RedisServer>;
  /** The nodes that have slots, in the order of the slots, as the first node that runs sees it. */
  masters(): Promise<readonly RedisServer[]>;
  /** Waits until all other nodes that run see the slots of `old` at another node, and the cluster serves. */
  untilPromoted(old: RedisServer): Promise<RedisServer>;
  /** Once all run again: waits until every node sees all slots served, with replicas that are in sync. */
  untilSettled(): Promise<void>;
}

const clusterSettings = {
  'cluster-announce-ip': '127.0.0.1',
  // A node that takes more milliseconds to answer is down.
  'cluster-node-timeout': '1000',
  // When slots are lost, the others still serve: large clusters are run like this, and it is harder for clients.
  'cluster-require-full-coverage': 'no',
  // A replica takes its master's place however old its last news of it, and never moves to another master.
  'cluster-replica-validity-factor': '0',
  'cluster-allow-replica-migration': 'no',
  // A replica counts only once it was sent something, which by default takes 10 s.
  'repl-ping-replica-period': '1',
};

/** Starts the nodes and makes a cluster of them, in three seconds. It is settled (see `untilSettled`). */
export async function startCluster(options: ClusterOptions = {}): Promise<RedisCluster> {
  await using resources = new AsyncDisposableStack();
  const { masters = 3, replicasPerMaster = 1, ...asked } = options;
  const authority = options.authority ?? (await sharedAuthority());
  const password = options.password === true ? newPassword() : options.password || undefined;
  const settings = { ...clusterSettings, ...options.settings };
  const nodeOptions = { ...asked, authority, password: password ?? false, settings, cluster: true };
  const nodes = await startAll(resources, masters * (1 + replicasPerMaster), () =>
    startRedis(nodeOptions),
  );
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

async function untilSettled(
  nodes: readonly RedisServer[],
  shards: readonly Shard[],
): Promise<void> {
  const masters = await waitFor(async () => {
    const views = await Promise.all(nodes.map(slotRangesOf));
    const seen = new Set(views.flat().map(({ ports: [master] }) => master));
    // The views agree if all of them together have as many masters as each one.
    const isAgreed = seen.size === shards.length;
    const isWhole = views.every((view) => shards.every((shard) => isComplete(shard, view)));
    return isAgreed && isWhole && (await Promise.all(nodes.map(isServing))).every(Boolean)
      ? seen
      : undefined;
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
    const range = (await slotRangesOf(view)).find(
      ({ first, last }) => first <= slot && slot <= last,
    );
    return nodes.find(({ port }) => port === range?.ports[0]);
  }

  async function masterOf(
    slotAt: (node: RedisServer) => number | Promise<number>,
  ): Promise<RedisServer> {
    const [view] = running();
    if (view === undefined) throw new Error('no node of the cluster runs');
    const slot = await slotAt(view);
    const master = await ownerOf(slot, view);
    if (master === undefined) throw new Error(`no node has slot ${slot}`);
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
        const [owner, ...more] = new Set(
          await Promise.all(views.map((view) => ownerOf(shard.firstSlot, view))),
        );
        const isAgreed = owner !== old && more.length === 0;
        return isAgreed && (await Promise.all(views.map(isServing))).every(Boolean)
          ? owner
          : undefined;
      }, 'a replica to take over in the cluster');
    },
  };
}

/** https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
const slotCount = 16_384;

/** A master and its replicas, with the slots that they serve. Any of them may be master by now. */
interface Shard {
  readonly master: RedisServer;
  readonly replicas: readonly RedisServer[];
  readonly firstSlot: number;
  readonly lastSlot: number;
}

/** Consecutive slots with one master, as a node sees them. */
interface SlotRange {
  readonly first: number;
  readonly last: number;
  /** The port of the master, even when it is down, then those of its replicas that are in sync. */
  readonly ports: readonly number[];
}

/** The first nodes become masters, each with as many slots; the rest become their replicas in turn. */
function toShards(nodes: readonly RedisServer[], masters: number): Shard[] {
  const firstSlot = (index: number): number => Math.round((index * slotCount) / masters);
  const replicas = nodes.slice(masters);
  return nodes.slice(0, masters).map((master, index) => ({
    master,
    replicas: replicas.filter((_, number) => number % masters === index),
    firstSlot: firstSlot(index),
    lastSlot: firstSlot(index + 1) - 1,
  }));
}

/** Makes one cluster of separate nodes. It serves two seconds after they started, not earlier. */
async function joinNodes(nodes: readonly RedisServer[], shards: readonly Shard[]): Promise<void> {
  await Promise.all(
    shards.map(({ master, firstSlot, lastSlot }) =>
      ask(master, 'ADDSLOTSRANGE', firstSlot, lastSlot),
    ),
  );
  // By default they start with the same epoch, and must agree on others first.
  await Promise.all(nodes.map((node, index) => ask(node, 'SET-CONFIG-EPOCH', index + 1)));
  const buses = await Promise.all(nodes.map(busPortOf));
  // Each meets each. They would also hear of each other by gossip, but later.
  await Promise.all(
    nodes.flatMap((node, index) =>
      nodes
        .slice(0, index)
        .map(({ port }, other) => ask(node, 'MEET', '127.0.0.1', port, buses[other] ?? 0)),
    ),
  );
  await waitFor(
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

/** Whether it serves its slots. */
async function isServing(node: RedisServer): Promise<boolean> {
  return String(await ask(node, 'INFO')).includes('cluster_state:ok');
}

async function slotOf(node: RedisServer, key: string): Promise<number> {
  return Number(await ask(node, 'KEYSLOT', key));
}

export async function slotRangesOf(node: RedisServer): Promise<SlotRange[]> {
  const ranges = (await ask(node, 'SLOTS')) as [number, number, ...[string, number, string][]][];
  return ranges.map(([first, last, ...nodes]) => ({
    first,
    last,
    ports: nodes.map(([, port]) => port),
  }));
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
