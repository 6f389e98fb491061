import { pino } from 'pino';
import { createRedisPool } from '../../shared-redis/redis-pool.ts';
import type { ProbedRedis } from '../../shared-redis/shared-redis.ts';
import type { RevocationList } from '../list.ts';
import { createSharedRevocations, pollInterval } from '../reader.ts';

const logger = pino({ level: 'silent' });
const clocks = { monotonic: () => performance.now(), wall: () => Date.now() };

/** Makes a sealing key of a letter. */
const keyOf = (letter: string) => Buffer.alloc(32, letter);

export interface OpenedRedis extends AsyncDisposable {
  readonly redis: ProbedRedis;
}

/** @param keys `AB`: the first seals, both open */
export async function openRedis(port: number, keys = 'A'): Promise<OpenedRedis> {
  const servers = {
    kind: 'server',
    secure: false,
    database: 0,
    address: { host: '127.0.0.1', port },
  } as const;
  const connection = { servers, tls: { minVersion: 'TLSv1.2' }, commandTimeout: 10_000 } as const;
  const settings = {
    connection,
    timeout: 5_000,
    keyPrefix: 'sallyport:',
    sealingKeys: [...keys].map(keyOf),
  };
  const lease = await createRedisPool({ logger, onError: () => undefined }).acquire(settings, '/');
  return { redis: lease.redis, [Symbol.asyncDispose]: () => lease.release() };
}

/** A gateway as far as the revocation list goes. */
export interface StartedReplica extends AsyncDisposable {
  readonly list: RevocationList;
  /** It does not poll any more, like a process that hangs. */
  hang(): void;
}

/** Polls as often as a gateway does, from now on. */
export async function startReplica(
  replicaId: string,
  port: number,
  keys = 'A',
): Promise<StartedReplica> {
  const opened = await openRedis(port, keys);
  const { list, reader } = createSharedRevocations({
    redis: () => opened.redis,
    clocks,
    replicaId,
    startsWithoutBlocks: () => true,
    onAdopted: () => undefined,
    onForeign: () => undefined,
    logger,
  });
  await reader.poll();
  const timer = setInterval(reader.poll, pollInterval);
  return {
    list,
    hang: () => clearInterval(timer),
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await reader.leave();
      await opened[Symbol.asyncDispose]();
    },
  };
}
