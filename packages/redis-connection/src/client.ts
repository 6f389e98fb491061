import type { ConnectionOptions as NodeTlsOptions } from 'node:tls';
import type { TlsSettings } from '@sallyport/plugin-kit';
import {
  type RedisOptions as AllRedisOptions,
  Cluster,
  Redis,
  type SentinelConnectionOptions,
  SentinelConnector,
} from 'ioredis';
import type { ConnectionOptions, Servers } from './connection-options.ts';
import type { RedisClient } from './nodes.ts';
import './socket-timeout.ts';
import './strict-data-handler.ts';

/** `replyMapping` also changes the types of replies. It is not used here. */
type RedisOptions = Omit<AllRedisOptions, 'replyMapping'>;

/**
 * How often a command is sent that a cluster redirects, or whose node is gone. It is enough to follow a moved slot, and
 * few enough that commands for a node that is down fail before they take the slots of commands for other nodes.
 */
const maxRedirections = 6;
/** Milliseconds before a redirected command is sent again. During a failover, two nodes may name each other for a moment. */
const delayOnMoved = 20;
const delayOnTrouble = 50;

/** Milliseconds to wait for a server to close its connection. One that hangs never does. */
const disconnectTimeout = 200;
/** Milliseconds. Between these refreshes, a client of a cluster learns that a slot moved only from the next command for it. */
const slotsRefreshInterval = 30_000;

/** Limits in milliseconds of the pauses between attempts to connect. A failover takes a second or more. */
const minPause = 50;
const maxPause = 1_000;

/**
 * Creates a client that is not connected. The caller adds listeners and calls `connect()`. Without a connection commands
 * fail immediately instead of waiting in a queue, and no command is sent twice to one server.
 */
export function createClient(
  options: ConnectionOptions,
  tls: TlsSettings | undefined,
): RedisClient {
  const { servers } = options;
  const common = commonOptions(options, tls);
  if (servers.kind === 'cluster') return createCluster(servers, common, options.commandTimeout);
  return new Redis({
    ...common,
    ...(servers.kind === 'socket' && { path: servers.path }),
    ...(servers.kind === 'server' && servers.address),
    ...(servers.kind === 'sentinel' && sentinelOptions(servers, common, options.commandTimeout)),
    db: servers.database,
    retryStrategy,
    enableAutoPipelining: true,
  });
}

/**
 * Milliseconds before the next attempt to connect: twice as long after each one, up to a second. Half of it is random,
 * so that a hundred gateways do not come back to a restarted server at the same moment.
 *
 * @param attempt from 1
 * @param random in [0, 1)
 */
export function retryDelay(attempt: number, random: number = Math.random()): number {
  const pause = Math.min(maxPause, minPause * 2 ** (attempt - 1));
  return Math.round(pause / 2 + (random * pause) / 2);
}

const retryStrategy = (attempt: number): number => retryDelay(attempt);

function commonOptions(
  { username, password, commandTimeout }: ConnectionOptions,
  tls: TlsSettings | undefined,
): RedisOptions {
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: tlsOptions(tls) }),
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: commandTimeout,
    // `run` has the deadline of each command, and a timer for each would cost as much as the command. This closes the
    // connection of commands that have no answer, also in the handshake: the next attempt asks the sentinels again.
    socketTimeout: commandTimeout,
    disconnectTimeout,
    // INFO and CLIENT are not needed to read a value, so an ACL may not allow them.
    enableReadyCheck: false,
    disableClientInfo: true,
  };
}

function tlsOptions({ ca, certificate, key, serverName, minVersion }: TlsSettings): NodeTlsOptions {
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
  { tls }: RedisOptions,
  commandTimeout: number,
): RedisOptions {
  const { sentinels, name, sentinelUsername, sentinelPassword } = servers;
  return {
    Connector: QuietSentinelConnector,
    sentinels: sentinels.map((sentinel) => ({ ...sentinel })),
    name,
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    sentinelCommandTimeout: commandTimeout,
    sentinelRetryStrategy: retryStrategy,
    // A former master that still answers would return outdated data, such as a token that was revoked since.
    failoverDetector: true,
    sentinelReconnectStrategy: retryStrategy,
  };
}

function createCluster(
  { nodes }: Extract<Servers, { kind: 'cluster' }>,
  redisOptions: RedisOptions,
  commandTimeout: number,
): Cluster {
  const cluster = new Cluster(
    nodes.map((node) => ({ ...node })),
    {
      redisOptions,
      lazyConnect: true,
      enableAutoPipelining: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      // A replica may not know yet what was revoked.
      scaleReads: 'master',
      maxRedirections,
      retryDelayOnMoved: delayOnMoved,
      retryDelayOnFailover: delayOnTrouble,
      retryDelayOnClusterDown: delayOnTrouble,
      retryDelayOnTryAgain: delayOnTrouble,
      slotsRefreshInterval,
      slotsRefreshTimeout: commandTimeout,
      clusterRetryStrategy: retryStrategy,
      // Host names must stay as they are: certificates are checked against them.
      dnsLookup: (host, callback) => callback(null, host),
    },
  );
  // Without this, the first commands for each node would fail, since only they would make its connection.
  cluster.on('+node', (node: Redis) => {
    if (node.status === 'wait') node.connect().catch(() => {});
  });
  return cluster;
}

/** This method is private in ioredis 6.0.0. The version is pinned, and a test checks that it exists. */
interface SentinelConnections {
  connectToSentinel(endpoint: unknown, options?: object): Redis;
}

/**
 * Asks sentinels for the master. ioredis adds no error listener to the connections on which it hears of failovers, so it
 * prints a stack to stderr each time that a sentinel is down. It also does not pass `disableClientInfo` on, and drops the
 * promise of SUBSCRIBE when it subscribes again.
 */
class QuietSentinelConnector extends SentinelConnector {
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
  }

  static {
    const quiet = QuietSentinelConnector.prototype as unknown as SentinelConnections;
    const inherited = SentinelConnector.prototype as unknown as SentinelConnections;
    quiet.connectToSentinel = function (endpoint, options) {
      const sentinel = inherited.connectToSentinel.call(this, endpoint, {
        ...options,
        disableClientInfo: true,
      });
      // The attempt to find the master reports the error. For connections that only listen, the others are enough.
      sentinel.on('error', () => {});
      const { subscribe } = sentinel;
      sentinel.subscribe = (...channels: unknown[]) => {
        const subscribed: Promise<unknown> = Reflect.apply(subscribe, sentinel, channels);
        subscribed.catch(() => {});
        return subscribed;
      };
      return sentinel;
    };
  }
}
