/** A Redis of a soak, in each topology, with what can happen to it. */
import { connect, type Socket } from 'node:net';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { startTcpServer } from '@sallyport/test-servers/tcp-server';

export const topologies = ['single', 'sentinel', 'cluster'] as const;
export type Topology = (typeof topologies)[number];

/** How a server fails. `kill` is a crash. With `hang`, its system accepts connections for it, and nothing answers. */
export type Failure = 'kill' | 'hang';

export interface Store {
  /**
   * Returns keys of a config, with the password in the file `secrets/redis`.
   *
   * @param replica the replica that uses them, or undefined for operators
   */
  address(replica?: number): object;
  /** Returns the nodes that accept writes. */
  masters(): Promise<readonly RedisServer[]>;
  masterOf(key: string): Promise<RedisServer>;
  /** Makes all nodes fail until `recover`. */
  fail(how: Failure): Promise<void>;
  /** Makes a master fail, and waits until another node takes its place. It is undefined if there is no other. */
  readonly failOver: ((how: Failure) => Promise<void>) | undefined;
  recover(): Promise<void>;
  /** Makes all writes that need memory fail, or succeed again. */
  fill(isFull: boolean): Promise<void>;
  /** Cuts off one replica. With `hang` it gets no answer, otherwise it is refused. */
  cutOff(replica: number, how: Failure): Promise<void>;
  reconnect(replica: number): Promise<void>;
  /** Delays each piece of one replica's connections by this many milliseconds. It is undefined if its replicas have no ways. */
  readonly slowDown: ((replica: number, delay: number) => void) | undefined;
}

/** A way to a server. */
export interface Way extends AsyncDisposable {
  readonly port: number;
  /** With `hang`, nothing passes. With `kill`, connections end. With a number, each piece waits for this many milliseconds. */
  state: 'open' | Failure | number;
}

export async function openWay(port: number): Promise<Way> {
  const way = { state: 'open' as Way['state'] };
  const pairs = new Set<Socket>();
  const pass = (from: Socket, to: Socket) => {
    let last = Promise.resolve();
    from.on('data', (chunk) => {
      const { state } = way;
      // Late answers of a server that hung are for connections that have been given up by then.
      if (state === 'hang') return;
      if (typeof state === 'number')
        last = last.then(() => new Promise((resolve) => setTimeout(resolve, state)));
      last = last.then(() => void to.write(chunk));
    });
  };
  const server = await startTcpServer((client) => {
    if (way.state === 'kill') return void client.destroy();
    const behind = connect({ port, host: '127.0.0.1', noDelay: true });
    for (const [one, other] of [[client, behind] as const, [behind, client] as const]) {
      pairs.add(one);
      one.on('error', () => {});
      one.once('close', () => {
        pairs.delete(one);
        other.destroy();
      });
      pass(one, other);
    }
  });
  return {
    port: server.port,
    get state() {
      return way.state;
    },
    set state(state) {
      // A piece is lost in `hang`: nothing that follows it would make sense.
      const isEnd = state === 'kill' || way.state === 'hang';
      way.state = state;
      if (isEnd) for (const socket of pairs) socket.destroy();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

interface Nodes {
  readonly nodes: readonly RedisServer[];
  masters(): Promise<readonly RedisServer[]>;
  masterOf(key: string): Promise<RedisServer>;
  /** Undefined if no other node can take over. */
  readonly untilPromoted: ((old: RedisServer) => Promise<unknown>) | undefined;
  untilSettled(): Promise<void>;
  readonly address: object;
}

/** @param replicas how many have a way of their own @param password the password of all users @param choose an item of a list */
export async function startStore(
  resources: AsyncDisposableStack,
  topology: Topology,
  {
    replicas,
    password,
    choose,
  }: { replicas: number; password: string; choose: <One>(some: readonly One[]) => One },
): Promise<Store> {
  const userOf = (replica?: number) => `gateway-${replica ?? 'operator'}`;
  const names = [userOf(), ...Array.from({ length: replicas }, (_, at) => userOf(at))];
  const users = names.map((name) => `user ${name} on >${password} ~* &* +@all`);
  const all = await startNodes(resources, topology, users);
  const [only] = all.nodes;
  const ways =
    topology === 'single' && only
      ? await Promise.all(names.slice(1).map(async () => resources.use(await openWay(only.port))))
      : undefined;
  const onAll = (work: (node: RedisServer) => Promise<unknown>) => Promise.all(all.nodes.map(work));
  return {
    address(replica) {
      const login = { username: userOf(replica), password: { file: 'secrets/redis' } };
      const port = replica === undefined ? only?.port : ways?.[replica]?.port;
      return { ...(ways ? { url: `redis://127.0.0.1:${port}` } : all.address), ...login };
    },
    masters: all.masters,
    masterOf: all.masterOf,
    fail: async (how) => void (await onAll((node) => node[how]())),
    failOver:
      all.untilPromoted &&
      (async (how) => {
        const old = choose(await all.masters());
        const promoted = all.untilPromoted?.(old);
        await old[how]();
        await promoted;
      }),
    async recover() {
      await onAll((node) => node.start());
      await all.untilSettled();
    },
    fill: async (isFull) =>
      void (await onAll((node) => node.client().config('SET', 'maxmemory', isFull ? '1' : '0'))),
    async cutOff(replica, how) {
      const way = ways?.[replica];
      if (way) way.state = how;
      else
        await onAll(async (node) => {
          await node.client().call('ACL', 'SETUSER', userOf(replica), 'off');
          await node.client().call('CLIENT', 'KILL', 'USER', userOf(replica));
        });
    },
    async reconnect(replica) {
      const way = ways?.[replica];
      if (way) way.state = 'open';
      else await onAll((node) => node.client().call('ACL', 'SETUSER', userOf(replica), 'on'));
    },
    slowDown:
      ways &&
      ((replica, delay) => {
        const way = ways[replica];
        if (way) way.state = delay === 0 ? 'open' : delay;
      }),
  };
}

async function startNodes(
  resources: AsyncDisposableStack,
  topology: Topology,
  users: string[],
): Promise<Nodes> {
  if (topology === 'single') {
    const redis = resources.use(await startRedis({ users }));
    const masters = async () => [redis];
    const address = {};
    return {
      nodes: [redis],
      masters,
      masterOf: async () => redis,
      untilPromoted: undefined,
      untilSettled: async () => {},
      address,
    };
  }
  if (topology === 'sentinel') {
    const { nodes, name, addresses, master, ...more } = resources.use(
      await startSentinels({ users }),
    );
    const address = { sentinels: addresses, name };
    return { nodes, masters: async () => [await master()], masterOf: master, address, ...more };
  }
  const { nodes, ...more } = resources.use(await startCluster({ users }));
  return { nodes, ...more, address: { cluster: nodes.map(({ port }) => `127.0.0.1:${port}`) } };
}
