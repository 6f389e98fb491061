import { recordingContext } from '@sallyport/authenticator/conformance';
import { connect, type RedisConnection, type Servers } from '@sallyport/redis-connection';
import type { RedisServer } from '@sallyport/test-servers/redis';
import { createSharedRedis, type ProbedRedis, type RedisUse } from '../shared-redis.ts';

export interface OpenedSharedOptions {
  /** Default: over the socket of `redis`. */
  readonly servers?: Servers;
  /** Sealing keys by a letter each: `AB`. The first seals. */
  readonly keys?: string;
  /** Milliseconds that a review waits for one call. Generous by default: tests of a slow Redis set it. */
  readonly timeout?: number;
  /** Milliseconds that any other caller waits. */
  readonly commandTimeout?: number;
  readonly username?: string;
  readonly password?: string;
}

/** The Redis that replicas share, and a record of its use. */
export interface OpenedShared extends AsyncDisposable {
  readonly redis: ProbedRedis;
  /** The number of calls that went to the connection. */
  readonly calls: number;
  /** The number of calls that have no answer yet. */
  readonly inProgress: number;
  readonly errors: readonly RedisUse[];
  /** Messages about the circuit. */
  readonly lines: readonly string[];
  /** Resolves when no call is in progress. */
  quiet(): Promise<void>;
}

export const keyPrefix = 'sallyport:';

export async function openShared(
  redis: RedisServer,
  options: OpenedSharedOptions = {},
): Promise<OpenedShared> {
  const {
    servers = socketOf(redis),
    keys = 'A',
    timeout = 10_000,
    commandTimeout = 20_000,
    ...login
  } = options;
  const { context } = recordingContext({ pluginName: 'cache', baseDirectory: '/' });
  const connection = await connect(
    { servers, tls: { minVersion: 'TLSv1.2' }, commandTimeout, ...login },
    wording,
    context,
  );
  const counted = countCalls(connection);
  const errors: RedisUse[] = [];
  const lines: string[] = [];
  const log = (_: object, message: string) => void lines.push(message);
  const shared = createSharedRedis(
    { keyPrefix, sealingKeys: secretsOf(keys), timeout },
    {
      connection: counted.connection,
      now: () => performance.now(),
      logger: { warn: log, info: log },
      onError: (use) => errors.push(use),
    },
  );
  return {
    redis: shared,
    errors,
    lines,
    get calls() {
      return counted.calls;
    },
    get inProgress() {
      return counted.inProgress.size;
    },
    async quiet() {
      do {
        await Promise.allSettled(counted.inProgress);
        await new Promise(setImmediate);
      } while (counted.inProgress.size > 0);
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

const wording = { minimalAcl: '', wrongType: '', consequence: '' };

/** Makes keys of letters, the same in every replica of a test. */
export function secretsOf(letters: string): readonly Uint8Array[] {
  return Array.from(letters, (letter) => Buffer.alloc(32, letter));
}

export function portOf(port: number): Servers {
  return { kind: 'server', secure: false, database: 0, address: { host: '127.0.0.1', port } };
}

export function socketOf({ socket }: RedisServer): Servers {
  return { kind: 'socket', secure: false, database: 0, path: socket };
}

function countCalls(connection: RedisConnection) {
  const inProgress = new Set<Promise<unknown>>();
  const counted = {
    calls: 0,
    inProgress,
    connection: {
      ...connection,
      run: (work, signal, timeout) => {
        counted.calls += 1;
        const running = connection.run(work, signal, timeout);
        inProgress.add(running);
        const end = () => void inProgress.delete(running);
        running.then(end, end);
        return running;
      },
    } satisfies RedisConnection as RedisConnection,
  };
  return counted;
}
