import type { Socket } from 'node:net';
import type { ConnectionOptions as NodeTlsOptions } from 'node:tls';
import type { TlsSettings } from '@sallyport/plugin-options';
import { type RedisOptions as AllRedisOptions, Cluster, Redis } from 'ioredis';
import './strict-data-handler.ts';
import { QuietSentinelConnector } from './quiet-sentinel-connector.ts';
import { retryDelay } from './retry-delay.ts';
import type { ConnectionOptions, Servers } from './types.ts';

export type { Redis };
export type RedisClient = Redis | Cluster;

/** Replies keep the shapes that they have always had: that option is a type, too, and needs none. */
type RedisOptions = Omit<AllRedisOptions, 'replyMapping'>;

/**
 * A command that a cluster sends elsewhere, or whose node has gone, is sent so often at most. A move is followed by then;
 * a node that is down is told as such, before the commands that wait for it take the places of those for other nodes.
 */
const maxRedirections = 6;
/** Milliseconds before it is sent again. For a moment in a failover both nodes may name the other one. */
const delayOnMoved = 20;
const delayOnTrouble = 50;

/** Milliseconds that a server may take to say goodbye, before it is left: one that hangs never does. */
const disconnectTimeout = 200;
/** Milliseconds. Nothing tells a client of Cluster that a slot moved, but the next command for it. */
const slotsRefreshInterval = 30_000;

/**
 * A client that does nothing yet: `connect()` is for the caller, and so are its listeners. Nothing is queued while
 * there is no connection, and nothing is ever sent twice on one server: whoever asks learns at once.
 *
 * @param random in [0, 1)
 */
export function createClient(
  options: ConnectionOptions,
  tls: TlsSettings | undefined,
  random: () => number,
): RedisClient {
  const { servers } = options;
  const delay = (attempt: number) => retryDelay(attempt, random());
  const common = commonOptions(options, tls);
  if (servers.kind === 'cluster') return createCluster(servers, common, delay);
  const one = { ...common, retryStrategy: delay, enableAutoPipelining: true };
  if (servers.kind === 'socket') return new Redis({ ...one, path: servers.path, db: servers.database });
  if (servers.kind === 'server') return new Redis({ ...one, ...servers.address, db: servers.database });
  return new Redis({ ...one, ...sentinelOptions(servers, one, delay), db: servers.database });
}

/** Ends its connections at once, of a cluster those to all nodes. New ones are made, as after any other end. */
export function abandon(client: RedisClient, error: Error): void {
  const nodes = client instanceof Cluster ? client.nodes() : [client];
  for (const { stream } of nodes as readonly { readonly stream?: Socket }[]) stream?.destroy(error);
}

function commonOptions(
  { username, password, commandTimeout }: ConnectionOptions,
  tls: TlsSettings | undefined,
): RedisOptions {
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: handshake(tls) }),
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: commandTimeout,
    commandTimeout,
    // A command that timed out leaves its connection as it is, for good: this one makes a new one.
    socketTimeout: commandTimeout,
    disconnectTimeout,
    // INFO and CLIENT are more than reading a value needs: an ACL may leave them out.
    enableReadyCheck: false,
    disableClientInfo: true,
  };
}

function handshake({ ca, certificate, key, serverName, minVersion }: TlsSettings): NodeTlsOptions {
  return {
    minVersion,
    rejectUnauthorized: true,
    ...(ca && { ca }),
    ...(certificate && { cert: certificate }),
    ...(key && { key }),
    ...(serverName !== undefined && { servername: serverName }),
  };
}

function sentinelOptions(
  servers: Extract<Servers, { kind: 'sentinel' }>,
  { tls, commandTimeout }: RedisOptions,
  delay: (attempt: number) => number,
): RedisOptions {
  const { sentinels, name, sentinelUsername, sentinelPassword } = servers;
  return {
    Connector: QuietSentinelConnector,
    sentinels: sentinels.map((sentinel) => ({ ...sentinel })),
    name,
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    ...(commandTimeout !== undefined && { sentinelCommandTimeout: commandTimeout }),
    sentinelRetryStrategy: delay,
    // A deposed master that is still reached would give what was taken back or changed since: a revoked token, say.
    failoverDetector: true,
    sentinelReconnectStrategy: delay,
  };
}

function createCluster(
  { nodes }: Extract<Servers, { kind: 'cluster' }>,
  redisOptions: RedisOptions,
  delay: (attempt: number) => number,
): Cluster {
  const cluster = new Cluster(
    nodes.map((node) => ({ ...node })),
    {
      redisOptions,
      lazyConnect: true,
      enableAutoPipelining: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      // A replica may not know yet what was taken back.
      scaleReads: 'master',
      maxRedirections,
      retryDelayOnMoved: delayOnMoved,
      retryDelayOnFailover: delayOnTrouble,
      retryDelayOnClusterDown: delayOnTrouble,
      retryDelayOnTryAgain: delayOnTrouble,
      slotsRefreshInterval,
      slotsRefreshTimeout: redisOptions.commandTimeout ?? 1_000,
      clusterRetryStrategy: delay,
      // Names stay names: a certificate is checked against what it is for.
      dnsLookup: (host, callback) => callback(null, host),
    },
  );
  // Left to the first command, each node's first commands would find a connection that is not made yet.
  cluster.on('+node', (node: Redis) => {
    if (node.status === 'wait') node.connect().catch(() => {});
  });
  return cluster;
}
