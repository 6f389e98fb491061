import type { Redis } from 'ioredis';
import type { Authority } from './certificates.ts';
import { freePort, withFreePorts } from './ports.ts';
import type { RedisOptions } from './redis.ts';
import { listenerLines } from './redis-configuration.ts';
import { type RedisProcess, startRedisProcess } from './redis-process.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** The only master that a sentinel here watches. */
export const masterName = 'mymaster';

export interface SentinelOptions {
  readonly program: NonNullable<RedisOptions['program']>;
  readonly authority: Authority;
  readonly requiresClientCertificate: boolean;
  /** It talks and listens by TLS only. */
  readonly tls: boolean;
  readonly masterPort: number;
  readonly masterPassword: string | undefined;
  /** What the clients of the sentinel and the other sentinels log in with. */
  readonly sentinelPassword: string | undefined;
  /** How many sentinels have to find that the master is down. */
  readonly quorum: number;
}

/** A Sentinel on a free port of 127.0.0.1, and of [::1] if there is IPv6. */
export interface Sentinel extends RedisProcess {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** Where it says that the master is. */
  masterPort(): Promise<number>;
  /** Whether it reaches the master, all the replicas and all the other sentinels, and all is well with them. */
  knows(count: { readonly replicas: number; readonly others: number }): Promise<boolean>;
}

export function startSentinel(options: SentinelOptions): Promise<Sentinel> {
  return withFreePorts(async () => {
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
    await hasten(server.client());
    const owned = resources.move();
    return {
      address: `127.0.0.1:${port}`,
      masterPort: () => masterPortOf(server.client()),
      knows: ({ replicas, others }) => knows(server.client(), replicas, others),
      client: server.client,
      stop: server.stop,
      async start() {
        await server.start();
        await hasten(server.client());
      },
      hang: server.hang,
      kill: server.kill,
      get isRunning() {
        return server.isRunning;
      },
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  });
}

/** Debian has a command for Redis's; Valkey's would be a package more, with nothing but a link in it. */
const programs = {
  'redis-server': { command: 'redis-sentinel' },
  'valkey-server': { command: 'valkey-server', arguments: ['--sentinel'] },
} as const;

async function configurationOf(folder: string, port: number, options: SentinelOptions): Promise<string> {
  const { authority, requiresClientCertificate, tls, masterPassword, sentinelPassword: password } = options;
  const ports = { port: tls ? 0 : port, tlsPort: tls ? port : 0 };
  return [
    ...(await listenerLines({ folder, ...ports, authority, requiresClientCertificate, password })),
    `tls-replication ${tls ? 'yes' : 'no'}`,
    `sentinel monitor ${masterName} 127.0.0.1 ${options.masterPort} ${options.quorum}`,
    `sentinel down-after-milliseconds ${masterName} 500`,
    // An election that nobody won is held again after twice this time.
    `sentinel failover-timeout ${masterName} 2000`,
    `sentinel parallel-syncs ${masterName} 1`,
    ...(masterPassword === undefined ? [] : [`sentinel auth-pass ${masterName} ${masterPassword}`]),
    '',
  ].join('\n');
}

/** In ms. Tests do not want to wait as long as a network may, and the configuration file can't say it. */
const periods = {
  /** Messages by which sentinels find each other, and nodes learn of a new master. Else every 2 s. */
  'publish-period': 200,
  /** The state of nodes. Else every 10 s. */
  'info-period': 500,
  'ask-period': 200,
  /**
   * Else as long as a node has to answer, so that a new master is often called down before it is first asked. Not less:
   * a replica whose state is older than five of these is not promoted, and while a master is down, states come each second.
   */
  'ping-period': 300,
  /** A new connection to a node that was away. Else every 15 s. */
  'min-link-reconnect-period': 500,
  /** How long a sentinel that was held up for 2 s does nothing. Else 30 s. */
  'tilt-period': 1_000,
};

async function hasten(client: Redis): Promise<void> {
  await client.call('SENTINEL', 'DEBUG', ...Object.entries(periods).flat());
}

async function masterPortOf(client: Redis): Promise<number> {
  const answer = await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName);
  const [, port] = answer as [string, string];
  return Number(port);
}

async function knows(client: Redis, replicas: number, others: number): Promise<boolean> {
  const ask = async (what: string) => (await client.call('SENTINEL', what, masterName)) as string[][];
  const master = toMap((await client.call('SENTINEL', 'MASTER', masterName)) as string[]);
  const replicaStates = (await ask('REPLICAS')).map(toMap);
  const sentinelStates = (await ask('SENTINELS')).map(toMap);
  return (
    master.get('flags') === 'master' &&
    replicaStates.filter((state) => state.get('flags') === 'slave' && state.get('master-link-status') === 'ok')
      .length === replicas &&
    sentinelStates.filter((state) => state.get('flags') === 'sentinel').length === others
  );
}

/** Sentinels answer with names and values in turn. */
function toMap(flat: readonly string[]): Map<string, string> {
  const names = flat.filter((_, index) => index % 2 === 0);
  return new Map(names.map((name, index) => [name, flat[2 * index + 1] ?? '']));
}
