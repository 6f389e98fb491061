import type { Redis } from 'ioredis';
import { type Authority, sharedAuthority } from './certificates.ts';
import { newPassword } from './passwords.ts';
import { freePort } from './ports.ts';
import {
  isMaster,
  listenerLines,
  type PortOf,
  type RedisOptions,
  type RedisProcess,
  type RedisServer,
  startRedis,
  startRedisProcess,
  startReplica,
  untilInSync,
} from './redis.ts';
import { startAll, withControls } from './server-process.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { waitFor } from './wait-for.ts';

/** The options of sentinels and their nodes. Those of a Redis hold for all nodes. */
export interface SentinelsOptions extends Omit<RedisOptions, 'cluster'> {
  /** Default 1. */
  readonly replicas?: number;
  /** Default 3. */
  readonly sentinels?: number;
  /** The password for clients of the sentinels. Default: none. */
  readonly sentinelPassword?: string;
  /** Sentinels listen with TLS only, name the TLS ports of nodes, and all of them talk TLS. Default false. */
  readonly tls?: boolean;
}

/** A master with replicas, watched by sentinels. A second or two after the master fails, a replica takes its place. */
export interface RedisSentinels extends AsyncDisposable {
  /** The name of the master, for clients of the sentinels. */
  readonly name: string;
  /** `127.0.0.1:PORT` of each sentinel. */
  readonly addresses: readonly string[];
  readonly sentinels: readonly Sentinel[];
  /** The first one starts as master. */
  readonly nodes: readonly RedisServer[];
  readonly authority: Authority;
  readonly caFile: string;
  /** The password of the default user on all nodes, if it has one. */
  readonly password: string | undefined;
  /** The master that most of all sentinels name. @throws Error if they disagree, or too few of them run */
  master(): Promise<RedisServer>;
  /** Waits until the sentinels that run all name another node than `old`, and that node is master. */
  untilPromoted(old: RedisServer): Promise<RedisServer>;
  /** Once all run again: waits until every sentinel sees all nodes healthy, so that the master may fail again. */
  untilSettled(): Promise<void>;
}

/** Starts all, in a second, and waits until the replicas are in sync, and the sentinels know them and each other. */
export async function startSentinels(options: SentinelsOptions = {}): Promise<RedisSentinels> {
  await using resources = new AsyncDisposableStack();
  const { replicas = 1, sentinels: count = 3, tls = false, sentinelPassword, ...asked } = options;
  const authority = options.authority ?? (await sharedAuthority());
  const password = options.password === true ? newPassword() : options.password || undefined;
  const settings = { ...(tls ? { 'tls-replication': 'yes' } : {}), ...options.settings };
  const portOf: PortOf = (node) => (tls ? node.tlsPort : node.port);
  const nodeOptions = { ...asked, authority, password: password ?? false, settings };
  const master = resources.use(await startRedis(nodeOptions));
  const others = await startAll(resources, replicas, () =>
    startReplica(master, nodeOptions, portOf),
  );
  await Promise.all(others.map(untilInSync));
  const sentinels = await startAll(resources, count, () =>
    startSentinel({
      program: options.program ?? 'redis-server',
      authority,
      requiresClientCertificate: options.requiresClientCertificate ?? false,
      tls,
      masterPort: portOf(master),
      masterPassword: password,
      sentinelPassword,
      quorum: Math.floor(count / 2) + 1,
    }),
  );
  const nodes = [master, ...others];
  const watched = watch(nodes, sentinels, portOf);
  await watched.untilSettled();
  const owned = resources.move();
  return {
    name: masterName,
    addresses: sentinels.map(({ address }) => address),
    sentinels,
    nodes,
    authority,
    caFile: authority.certificateFile,
    password,
    ...watched,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function watch(
  nodes: readonly RedisServer[],
  sentinels: readonly Sentinel[],
  portOf: PortOf,
): Pick<RedisSentinels, 'master' | 'untilPromoted' | 'untilSettled'> {
  const known = { replicas: nodes.length - 1, others: sentinels.length - 1 };

  async function votes(): Promise<(RedisServer | undefined)[]> {
    const running = sentinels.filter(({ isRunning }) => isRunning);
    const ports = await Promise.all(running.map((sentinel) => sentinel.masterPort()));
    return ports.map((port) => nodes.find((node) => portOf(node) === port));
  }

  /** Waits until the sentinels that run all name the same node, and `isAccepted` accepts it. */
  function untilAgreed(
    what: string,
    isAccepted: (node: RedisServer) => Promise<boolean>,
  ): Promise<RedisServer> {
    return waitFor(async () => {
      const [node, ...more] = new Set(await votes());
      return node !== undefined && more.length === 0 && (await isAccepted(node)) ? node : undefined;
    }, what);
  }

  return {
    async master() {
      const all = await votes();
      const master = all.find(
        (node) => all.filter((other) => other === node).length > sentinels.length / 2,
      );
      if (master === undefined)
        throw new Error(`${all.length} of ${sentinels.length} sentinels agree on no master`);
      return master;
    },
    untilPromoted: (old) =>
      untilAgreed(
        'the sentinels to agree on another master',
        async (node) => node !== old && isMaster(node),
      ),
    async untilSettled() {
      const master = await untilAgreed(
        'the sentinels to know each other and the replicas',
        async () =>
          (await Promise.all(sentinels.map((sentinel) => sentinel.knows(known)))).every(Boolean),
      );
      await Promise.all(nodes.filter((node) => node !== master).map(untilInSync));
    },
  };
}

/** The only master that a sentinel here watches. */
export const masterName = 'mymaster';

export interface SentinelOptions {
  readonly program: NonNullable<RedisOptions['program']>;
  readonly authority: Authority;
  readonly requiresClientCertificate: boolean;
  /** It talks and listens with TLS only. */
  readonly tls: boolean;
  readonly masterPort: number;
  readonly masterPassword: string | undefined;
  /** The password for clients of the sentinel and for the other sentinels. */
  readonly sentinelPassword: string | undefined;
  /** How many sentinels must see that the master is down. */
  readonly quorum: number;
}

/** A Sentinel on a free port of 127.0.0.1, and of [::1] where IPv6 exists. */
export interface Sentinel extends RedisProcess {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** The port at which it sees the master. */
  masterPort(): Promise<number>;
  /** Whether it sees the master, all replicas and all other sentinels, all of them healthy. */
  knows(nodes: KnownNodes): Promise<boolean>;
}

interface KnownNodes {
  readonly replicas: number;
  /** Sentinels besides this one. */
  readonly others: number;
}

export async function startSentinel(options: SentinelOptions): Promise<Sentinel> {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder('sentinel')).path;
  const port = await freePort();
  const server = resources.use(
    await startRedisProcess({
      ...programs[options.program],
      folder,
      configuration: await configurationOf(folder, port, options),
      password: options.sentinelPassword,
    }),
  );
  await shortenPeriods(server.client());
  const owned = resources.move();
  return withControls(server, owned, {
    address: `127.0.0.1:${port}`,
    masterPort: () => masterPortOf(server.client()),
    knows: ({ replicas, others }: KnownNodes) => knows(server.client(), replicas, others),
    async start() {
      await server.start();
      await shortenPeriods(server.client());
    },
  });
}

/** Debian has a command for Redis's Sentinel. Valkey's would be another package, with nothing but a link in it. */
const programs = {
  'redis-server': { command: 'redis-sentinel' },
  'valkey-server': { command: 'valkey-server', arguments: ['--sentinel'] },
} as const;

async function configurationOf(
  folder: string,
  port: number,
  options: SentinelOptions,
): Promise<string> {
  const {
    authority,
    requiresClientCertificate,
    tls,
    masterPassword,
    sentinelPassword: password,
  } = options;
  const ports = { port: tls ? 0 : port, tlsPort: tls ? port : 0 };
  return [
    ...(await listenerLines({ folder, ...ports, authority, requiresClientCertificate, password })),
    `tls-replication ${tls ? 'yes' : 'no'}`,
    `sentinel monitor ${masterName} 127.0.0.1 ${options.masterPort} ${options.quorum}`,
    `sentinel down-after-milliseconds ${masterName} 500`,
    // An election without a winner is repeated after twice this time.
    `sentinel failover-timeout ${masterName} 2000`,
    `sentinel parallel-syncs ${masterName} 1`,
    ...(masterPassword === undefined ? [] : [`sentinel auth-pass ${masterName} ${masterPassword}`]),
    '',
  ].join('\n');
}

/** Times in ms. The defaults suit a network and make tests slow, and the configuration file can't set them. */
const periods = {
  /** Messages by which sentinels find each other, and nodes learn of a new master. Default: every 2 s. */
  'publish-period': 200,
  /** Questions about the state of nodes. Default: every 10 s. */
  'info-period': 500,
  'ask-period': 200,
  /**
   * By default as long as a node has to answer, so a new master is often taken for down before it is first asked. Not
   * less than this: a replica whose state is older than five periods is not promoted, and while a master is down, states
   * come each second.
   */
  'ping-period': 300,
  /** A new connection to a node that was unreachable. Default: every 15 s. */
  'min-link-reconnect-period': 500,
  /** How long a sentinel that was delayed for 2 s does nothing. Default: 30 s. */
  'tilt-period': 1_000,
};

async function shortenPeriods(client: Redis): Promise<void> {
  await client.call('SENTINEL', 'DEBUG', ...Object.entries(periods).flat());
}

async function masterPortOf(client: Redis): Promise<number> {
  const answer = await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName);
  const [, port] = answer as [string, string];
  return Number(port);
}

async function knows(client: Redis, replicas: number, others: number): Promise<boolean> {
  const ask = async (what: string) =>
    (await client.call('SENTINEL', what, masterName)) as string[][];
  const master = toMap((await client.call('SENTINEL', 'MASTER', masterName)) as string[]);
  const replicaStates = (await ask('REPLICAS')).map(toMap);
  const sentinelStates = (await ask('SENTINELS')).map(toMap);
  return (
    master.get('flags') === 'master' &&
    replicaStates.filter(
      (state) => state.get('flags') === 'slave' && state.get('master-link-status') === 'ok',
    ).length === replicas &&
    sentinelStates.filter((state) => state.get('flags') === 'sentinel').length === others
  );
}

/** Sentinels answer with alternating names and values. */
function toMap(flat: readonly string[]): Map<string, string> {
  const names = flat.filter((_, index) => index % 2 === 0);
  return new Map(names.map((name, index) => [name, flat[2 * index + 1] ?? '']));
}
