import { type Authority, createAuthority } from './certificates.ts';
import { newPassword } from './passwords.ts';
import { freePort, withFreePorts } from './ports.ts';
import { redisConfiguration, socketIn } from './redis-configuration.ts';
import { type RedisProcess, startRedisProcess } from './redis-process.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface RedisOptions {
  /** Default `redis-server`. */
  readonly program?: 'redis-server' | 'valkey-server';
  /** Whose certificate it shows. Default: an authority of its own, which goes with it. */
  readonly authority?: Authority;
  /** Clients show a certificate of the authority on the TLS port. Default false. */
  readonly requiresClientCertificate?: boolean;
  /** Users besides the default one, as ACL files have them: `user NAME on >PASSWORD ~PATTERN +COMMAND`. */
  readonly users?: readonly string[];
  /** The default user's; true: a random one. Default: none, and whoever comes may do all. */
  readonly password?: string | boolean;
  /** More lines of redis.conf, which outdo the fixture's own: `{ maxmemory: '10mb' }`. An empty value is `""`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** A node of a cluster, alone and without slots as yet (see `startCluster`). Default false. */
  readonly cluster?: boolean;
}

/**
 * A Redis on free ports of 127.0.0.1, which answer on `localhost` too, and on [::1] if there is IPv6. It keeps what it
 * acknowledged over `stop` and `kill`.
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
  /** The default user's, if it has one. */
  readonly password: string | undefined;
}

/** Starts Debian's redis-server or valkey-server, in a tenth of a second. */
export function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  return withFreePorts(() => startOnce(options));
}

async function startOnce(options: RedisOptions): Promise<RedisServer> {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder('redis')).path;
  const authority = options.authority ?? resources.use(await createAuthority());
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
  const server = resources.use(await startRedisProcess({ command, folder, configuration, password }));
  const owned = resources.move();
  return {
    port,
    tlsPort,
    socket: socketIn(folder),
    url: `redis://127.0.0.1:${port}`,
    tlsUrl: `rediss://127.0.0.1:${tlsPort}`,
    authority,
    caFile: authority.certificateFile,
    password,
    client: server.client,
    stop: server.stop,
    start: server.start,
    hang: server.hang,
    kill: server.kill,
    get isRunning() {
      return server.isRunning;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
