import { type Authority, createAuthority } from './certificates.ts';
import { newPassword } from './passwords.ts';
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts';
import { isMaster, type PortOf, startReplica, untilInSync } from './redis-replication.ts';
import { masterName, type Sentinel, startSentinel } from './redis-sentinel-process.ts';
import { startAll } from './start-all.ts';
import { waitFor } from './wait-until.ts';

/** What is asked for of a Redis holds for all nodes. */
export interface SentinelsOptions extends Omit<RedisOptions, 'cluster'> {
  /** Default 1. */
  readonly replicas?: number;
  /** Default 3. */
  readonly sentinels?: number;
  /** What clients of the sentinels log in with. Default: none. */
  readonly sentinelPassword?: string;
  /** Sentinels listen by TLS only, name the TLS ports of nodes, and all of them talk by TLS. Default false. */
  readonly tls?: boolean;
}

/** A master with replicas, watched by sentinels: one of the replicas takes its place a second or two after it goes. */
export interface RedisSentinels extends AsyncDisposable {
  /** The master's, for clients of the sentinels. */
  readonly name: string;
  /** `127.0.0.1:PORT` of each sentinel. */
  readonly addresses: readonly string[];
  readonly sentinels: readonly Sentinel[];
  /** The first begins as master. */
  readonly nodes: readonly RedisServer[];
  readonly authority: Authority;
  readonly caFile: string;
  /** Of the default user, on all nodes, if it has one. */
  readonly password: string | undefined;
  /** Whom the majority of all sentinels names. @throws Error if they name different ones, or too few run */
  master(): Promise<RedisServer>;
  /** Waits until the sentinels that run all name another than `old`, and it is master. */
  untilPromoted(old: RedisServer): Promise<RedisServer>;
  /** Once all run again: waits until each sentinel finds all well, so that the master may go once more. */
  untilSettled(): Promise<void>;
}

/** Starts all, in a second, and waits until the replicas are in sync, and the sentinels know them and each other. */
export async function startSentinels(options: SentinelsOptions = {}): Promise<RedisSentinels> {
  await using resources = new AsyncDisposableStack();
  const { replicas = 1, sentinels: count = 3, tls = false, sentinelPassword, ...asked } = options;
  const authority = options.authority ?? resources.use(await createAuthority());
  const password = options.password === true ? newPassword() : options.password || undefined;
  const settings = { ...(tls ? { 'tls-replication': 'yes' } : {}), ...options.settings };
  const portOf: PortOf = (node) => (tls ? node.tlsPort : node.port);
  const nodeOptions = { ...asked, authority, password: password ?? false, settings };
  const master = resources.use(await startRedis(nodeOptions));
  const others = await startAll(resources, replicas, () => startReplica(master, nodeOptions, portOf));
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

  /** Waits until the sentinels that run all name the same node, and it is one that will do. */
  function untilAgreed(what: string, willDo: (node: RedisServer) => Promise<boolean>): Promise<RedisServer> {
    return waitFor(async () => {
      const [node, ...more] = new Set(await votes());
      return node !== undefined && more.length === 0 && (await willDo(node)) ? node : undefined;
    }, what);
  }

  return {
    async master() {
      const all = await votes();
      const master = all.find((node) => all.filter((other) => other === node).length > sentinels.length / 2);
      if (master === undefined) throw new Error(`${all.length} of ${sentinels.length} sentinels agree on no master`);
      return master;
    },
    untilPromoted: (old) =>
      untilAgreed('the sentinels to agree on another master', async (node) => node !== old && isMaster(node)),
    async untilSettled() {
      const master = await untilAgreed('the sentinels to know each other and the replicas', async () =>
        (await Promise.all(sentinels.map((sentinel) => sentinel.knows(known)))).every(Boolean),
      );
      await Promise.all(nodes.filter((node) => node !== master).map(untilInSync));
    },
  };
}
