import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { socketIn } from './redis-configuration.ts';
import { createServerProcess, type ServerProcess } from './server-process.ts';

export interface RedisProcessOptions {
  readonly command: string;
  /** Behind the name of the configuration file. */
  readonly arguments?: readonly string[];
  /** Its working folder, with its configuration, which it may write anew, its log and its socket. */
  readonly folder: string;
  readonly configuration: string;
  /** The default user's. */
  readonly password: string | undefined;
}

/** A Redis or a Sentinel. */
export interface RedisProcess extends ServerProcess {
  /**
   * The fixture's own way in: the default user, over the Unix socket. One for all calls, closed with the server. What is
   * asked while the server is stopped waits for its start.
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
    // The socket is in a folder of its own: unlike a port, it can't be another's that answers.
    isReady: async () => existsSync(socket) && (await answers(socket, password)),
  });
  // Nobody reads its data any more: it need not take the tenth of a second that it takes to notice that it is asked.
  resources.defer(() => server.kill());
  await server.start();
  let client: Redis | undefined;
  resources.defer(() => client?.disconnect());
  const owned = resources.move();
  return {
    start: server.start,
    stop: server.stop,
    hang: server.hang,
    kill: server.kill,
    get isRunning() {
      return server.isRunning;
    },
    client() {
      client ??= connect(socket, password);
      return client;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function connect(socket: string, password: string | undefined): Redis {
  const client = new Redis({
    ...optionsFor(socket, password),
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
  });
  // That the server is away is what tests are about. Without a listener, each attempt to reach it would be printed.
  client.on('error', () => {});
  return client;
}

async function answers(socket: string, password: string | undefined): Promise<boolean> {
  const client = new Redis({ ...optionsFor(socket, password), retryStrategy: null, lazyConnect: true });
  client.on('error', () => {});
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    client.disconnect();
  }
}

function optionsFor(path: string, password: string | undefined) {
  return {
    path,
    ...(password === undefined ? {} : { password }),
    // In ms: a client is connected once the server has read its data, and asks it that often, not every second.
    maxLoadingRetryTime: 20,
  };
}
