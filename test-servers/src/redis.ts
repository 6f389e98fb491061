import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type Authority, sharedAuthority } from './certificates.ts';
import { newPassword } from './passwords.ts';
import { freePort, hasIPv6 } from './ports.ts';
import { createServerProcess, type ServerProcess, withControls } from './server-process.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { waitFor } from './wait-for.ts';

export interface RedisOptions {
  /** Default `redis-server`. */
  readonly program?: 'redis-server' | 'valkey-server';
  /** The authority that issues its certificate. Default: that of this process. */
  readonly authority?: Authority;
  /** Clients must present a certificate of the authority on the TLS port. Default false. */
  readonly requiresClientCertificate?: boolean;
  /** Users besides the default one, in the syntax of ACL files: `user NAME on >PASSWORD ~PATTERN +COMMAND`. */
  readonly users?: readonly string[];
  /** The password of the default user, or true for a random one. Default: none, so every client may do everything. */
  readonly password?: string | boolean;
  /** More lines of redis.conf, which override ours: `{ maxmemory: '10mb' }`. An empty value is `""`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Whether it is a node of a cluster, alone and without slots (see `startCluster`). Default false. */
  readonly cluster?: boolean;
}

/**
 * A Redis on free ports of 127.0.0.1, which also answer on `localhost`, and on [::1] where IPv6 exists. Data that it
 * acknowledged survives `stop` and `kill`.
 */
export interface RedisServer extends RedisProcess {
  readonly port: number;
  readonly tlsPort: number;
  /** The path of its Unix socket. */
  readonly socket: string;
  /** `redis://127.0.0.1:PORT` */
  readonly url: string;
  /** `rediss://127.0.0.1:PORT` */
  readonly tlsUrl: string;
  readonly authority: Authority;
  readonly caFile: string;
  /** The password of the default user, if it has one. */
  readonly password: string | undefined;
}

/** Starts Debian's redis-server or valkey-server, in a tenth of a second. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder('redis')).path;
  const authority = options.authority ?? (await sharedAuthority());
  const password = options.password === true ? newPassword() : options.password || undefined;
  const [port, tlsPort] = [await freePort(), await freePort()];
  const configuration = await redisConfiguration({
    folder,
    port,
    tlsPort,
    busPort: options.cluster ? await freePort() : undefined,
    authority,
    requiresClientCertificate: options.requiresClientCertificate ?? false,
    password,
    users: options.users ?? [],
    more: options.settings ?? {},
  });
  const command = options.program ?? 'redis-server';
  const server = resources.use(
    await startRedisProcess({ command, folder, configuration, password }),
  );
  const owned = resources.move();
  return withControls(server, owned, {
    port,
    tlsPort,
    socket: socketIn(folder),
    url: `redis://127.0.0.1:${port}`,
    tlsUrl: `rediss://127.0.0.1:${tlsPort}`,
    authority,
    caFile: authority.certificateFile,
    password,
  });
}

export interface RedisProcessOptions {
  readonly command: string;
  /** Arguments after the name of the configuration file. */
  readonly arguments?: readonly string[];
  /** Its working folder, with its configuration, which it may rewrite, its log and its socket. */
  readonly folder: string;
  readonly configuration: string;
  /** The password of the default user, if it has one. */
  readonly password: string | undefined;
}

/** A Redis or a Sentinel. */
export interface RedisProcess extends ServerProcess {
  /**
   * The tests' own client: the default user, over the Unix socket. All calls return the same one, closed with the server.
   * Commands that are sent while the server is stopped wait for its start.
   */
  client(): Redis;
}

/** Starts the program and waits until it answers, with all its data. */
export async function startRedisProcess(options: RedisProcessOptions): Promise<RedisProcess> {
  await using resources = new AsyncDisposableStack();
  const { command, folder, password } = options;
  const file = join(folder, 'redis.conf');
  const socket = socketIn(folder);
  await writeFile(file, options.configuration, { mode: 0o600 });
  const server = createServerProcess({
    name: command,
    command,
    arguments: [file, ...(options.arguments ?? [])],
    logFile: join(folder, 'log'),
    prepare: () => rm(socket, { force: true }),
    // The socket is in a folder of its own: unlike on a port, no other server can answer there.
    isReady: async () => existsSync(socket) && (await answers(socket, password)),
  });
  // Nothing reads its data any more, and a kill is a tenth of a second faster than a stop.
  resources.defer(() => server.kill());
  await server.start();
  let client: Redis | undefined;
  resources.defer(() => client?.disconnect());
  const owned = resources.move();
  return withControls(server, owned, {
    client() {
      client ??= connect(socket, password);
      return client;
    },
  });
}

function connect(socket: string, password: string | undefined): Redis {
  const client = new Redis({
    ...optionsFor(socket, password),
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
  });
  // Tests stop the server on purpose. Without a listener, ioredis would print each failed attempt.
  client.on('error', () => {});
  return client;
}

async function answers(socket: string, password: string | undefined): Promise<boolean> {
  const client = new Redis({
    ...optionsFor(socket, password),
    retryStrategy: null,
    lazyConnect: true,
  });
  // A server whose user `default` is off refuses this login, and so it answers.
  let isClosedToDefault = false;
  client.on('error', ({ message }) => {
    isClosedToDefault ||= message.includes('NOAUTH');
  });
  try {
    await client.connect();
    return true;
  } catch {
    return isClosedToDefault;
  } finally {
    client.disconnect();
  }
}

function optionsFor(path: string, password: string | undefined) {
  return {
    path,
    ...(password === undefined ? {} : { password }),
    // A client asks after this many milliseconds whether the server has read its data. The default is a second.
    maxLoadingRetryTime: 20,
  };
}

/** Settings that Redis and Sentinel share. */
export interface ListenerSettings {
  readonly folder: string;
  /** The port, or 0 for no listener. */
  readonly port: number;
  /** The port for TLS, or 0 for no listener. */
  readonly tlsPort: number;
  readonly authority: Authority;
  readonly requiresClientCertificate: boolean;
  /** The password of the default user, if it has one. */
  readonly password: string | undefined;
}

export interface RedisSettings extends ListenerSettings {
  /** The port on which nodes of a cluster talk to each other. It is undefined for a server that is in no cluster. */
  readonly busPort: number | undefined;
  readonly users: readonly string[];
  readonly more: Readonly<Record<string, string>>;
}

/** The socket of the tests' own client: no other server can answer there. */
export function socketIn(folder: string): string {
  return join(folder, 'socket');
}

/** The lines that redis.conf and sentinel.conf share. */
export async function listenerLines(settings: ListenerSettings): Promise<string[]> {
  const { folder, authority, requiresClientCertificate } = settings;
  const certificate = await authority.sharedServer();
  return [
    `bind 127.0.0.1${hasIPv6 ? ' ::1' : ''}`,
    `port ${settings.port}`,
    `tls-port ${settings.tlsPort}`,
    `unixsocket ${socketIn(folder)}`,
    // By default, Redis without a password refuses clients that do not come over loopback. Here all do.
    'protected-mode no',
    'daemonize no',
    `dir ${folder}`,
    `tls-cert-file ${certificate.certificateFile}`,
    `tls-key-file ${certificate.keyFile}`,
    `tls-ca-cert-file ${authority.certificateFile}`,
    `tls-auth-clients ${requiresClientCertificate ? 'yes' : 'no'}`,
    ...(requiresClientCertificate ? await clientCertificateLines(authority) : []),
    ...(settings.password === undefined ? [] : [`requirepass ${settings.password}`]),
  ];
}

/** A replica and a Sentinel are clients of the master, and a server's certificate is for servers only. */
async function clientCertificateLines(authority: Authority): Promise<string[]> {
  const { certificateFile, keyFile } = await authority.issueClient('redis');
  return [`tls-client-cert-file ${certificateFile}`, `tls-client-key-file ${keyFile}`];
}

/** Writes redis.conf. The lines of `more` come last, so they override the others. */
export async function redisConfiguration(settings: RedisSettings): Promise<string> {
  const { busPort, users, password, more } = settings;
  return [
    ...(await listenerLines(settings)),
    ...(password === undefined ? [] : [`masterauth ${password}`]),
    // Redis writes to the file before it answers, so acknowledged data survives a kill of Redis. A flush to the disk, which a
    // failure of the machine needs, would take most of the time of a test.
    'appendonly yes',
    'appendfsync no',
    'save ""',
    // A replica that hangs must not delay the end of its master for long.
    'shutdown-timeout 1',
    // Only one replica connects, so waiting 5 s for others is useless.
    'repl-diskless-sync-delay 0',
    ...(busPort === undefined ? [] : ['cluster-enabled yes', `cluster-port ${busPort}`]),
    ...users,
    ...Object.entries(more).map(([name, value]) => `${name} ${value}`),
    '',
  ].join('\n');
}

export type PortOf = (node: RedisServer) => number;

/** Starts a replica of `master`, which is not in sync yet. */
export function startReplica(
  master: RedisServer,
  options: RedisOptions,
  portOf: PortOf,
): Promise<RedisServer> {
  return startRedis({
    ...options,
    settings: { ...options.settings, replicaof: `127.0.0.1 ${portOf(master)}` },
  });
}

/** Waits until it has all of its master's data, also in its file, which it rewrites after a full copy. */
export async function untilInSync(replica: RedisServer): Promise<void> {
  await waitFor(async () => {
    const info = await infoOf(replica);
    const isWriting =
      info.get('aof_rewrite_in_progress') !== '0' || info.get('aof_rewrite_scheduled') !== '0';
    return info.get('master_link_status') === 'up' && !isWriting;
  }, 'a replica to be in sync');
}

export async function isMaster(node: RedisServer): Promise<boolean> {
  return node.isRunning && (await infoOf(node)).get('role') === 'master';
}

async function infoOf(node: RedisServer): Promise<Map<string, string>> {
  const text = await node.client().info('replication', 'persistence');
  return new Map(
    Array.from(text.matchAll(/^(\w+):(.*)\r$/gm), ([, name = '', value = '']) => [name, value]),
  );
}
