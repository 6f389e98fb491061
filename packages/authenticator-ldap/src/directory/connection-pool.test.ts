import { countingMetrics } from '@sallyport/test-servers/counting-metrics';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ServerSkipped } from '../connection/server-error.ts';
import { never } from '../connection/testing/connecting.ts';
import { createConnectionPool, type PoolSettings } from './connection-pool.ts';
import { createServerMetrics } from './metrics.ts';
import { memoryConnect, memoryServer } from './testing/memory-server.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function createPool(more: Partial<PoolSettings> = {}) {
  const memory = memoryServer('a');
  const connect = memoryConnect([memory]);
  const { url } = memory.server;
  const { metrics, values } = countingMetrics();
  const settings = {
    url,
    max: 2,
    idleTimeout: 60_000,
    maxAge: 3_600_000,
    waitTimeout: 1000,
    random: () => 0.5,
    ...more,
  };
  let skew = 0;
  const pool = createConnectionPool({
    ...settings,
    open: (signal) =>
      connect({
        server: memory.server,
        signal,
        stepTimeout: 1000,
        tls: () => ({ minVersion: 'TLSv1.2' }),
      }),
    metrics: createServerMetrics(metrics)(url).pool('service'),
    now: () => performance.now() + skew,
  });
  const states = () =>
    ['opening', 'idle', 'busy'].map(
      (state) => values.get(`connections{server=${url},use=service,state=${state}}`) ?? 0,
    );
  const use = async (count: number) => {
    const leases = await Promise.all(Array.from({ length: count }, () => pool.acquire(never)));
    for (const lease of leases) lease.release(true);
  };
  /** Lets time pass, without the end of any timer. */
  const lag = (milliseconds: number) => {
    skew += milliseconds;
  };
  return { memory, pool, states, use, values, lag };
}

const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => 'nothing',
    (error: Error) => error.message,
  );

describe('a connection pool', () => {
  test('uses none of before again after a renewal, whether idle, busy or just being opened', async () => {
    const { memory, pool, states, use } = createPool({ max: 3 });
    await use(2);
    const busy = await pool.acquire(never);
    const opening = Promise.all([pool.acquire(never), pool.acquire(never)]);
    while (memory.connects < 3) await Promise.resolve();
    pool.renew();
    busy.release(true);
    for (const lease of await opening) lease.release(true);
    expect(states()).toEqual([0, 0, 0]);
    const before = memory.connections.length;
    await use(1);
    await use(1);
    expect(memory.connections.length - before).toBe(1);
    pool.close();
  });

  test('uses a connection again, the one used last first', async () => {
    const { memory, pool, use, states } = createPool();
    await use(2);
    const lease = await pool.acquire(never);
    expect([lease.reused, memory.connects, states()]).toEqual([true, 2, [0, 1, 1]]);
    expect(lease.connection).toBe(memory.connections[1]);
  });

  test('makes callers wait in their order once all are busy, and hands connections on', async () => {
    const { pool, memory, values } = createPool();
    const first = await pool.acquire(never);
    await pool.acquire(never);
    const served: string[] = [];
    const waits = ['one', 'two'].map((name) =>
      pool.acquire(never).then((lease) => {
        served.push(name);
        return lease;
      }),
    );
    await pass();
    expect(served).toEqual([]);
    first.release(true);
    (await waits[0])?.release(true);
    await waits[1];
    expect([served, memory.connects]).toEqual([['one', 'two'], 2]);
    expect(values.get('connection_wait_seconds{server=ldaps://a:636}')).toBe(4);
  });

  test('ends a wait at its time, with what to raise, and at the abort of its signal', async () => {
    const { pool } = createPool({ max: 1 });
    const lease = await pool.acquire(never);
    const controller = new AbortController();
    const late = failure(pool.acquire(never));
    const aborted = failure(pool.acquire(controller.signal));
    controller.abort(new Error('caller gone'));
    await pass(1000);
    expect(await late).toBe('all 1 connections to ldaps://a:636 are busy: raise pool.max');
    expect(await aborted).toBe('caller gone');
    lease.release(true);
    expect((await pool.acquire(never)).reused).toBe(true);
  });

  test('gives the capacity of a failed connection to a caller that waits', async () => {
    const { pool, memory } = createPool({ max: 1 });
    const lease = await pool.acquire(never);
    const waiting = pool.acquire(never);
    lease.release(false);
    await pass();
    expect([(await waiting).reused, memory.openConnections]).toEqual([false, 1]);
  });

  test('lets no later caller pass those who wait, also while a connection is closed', async () => {
    const { pool } = createPool({ max: 1 });
    const lease = await pool.acquire(never);
    const served: string[] = [];
    const come = (name: string) =>
      pool.acquire(never).then((granted) => {
        served.push(name);
        granted.release(true);
      });
    const first = come('first');
    await pass();
    lease.release(false);
    const second = come('second');
    await pass();
    await Promise.all([first, second]);
    expect(served).toEqual(['first', 'second']);
  });

  test('replaces a connection in its own place, without waiting', async () => {
    const { pool, memory, states } = createPool({ max: 1 });
    const lease = await pool.acquire(never);
    const waiting = failure(pool.acquire(never));
    await lease.replace(never);
    expect([memory.connects, memory.openConnections, states()]).toEqual([2, 1, [0, 0, 1]]);
    memory.connecting = 'unreachable';
    await expect(lease.replace(never)).rejects.toThrow('unreachable');
    lease.release(true);
    await pass();
    expect([await waiting, states()]).toEqual(['ldaps://a:636: connect: unreachable', [0, 0, 0]]);
  });

  test('opens the first one alone: when it fails, those who wait for it fail immediately', async () => {
    const { pool, memory } = createPool({ max: 4 });
    memory.connecting = 'unreachable';
    const reasons = await Promise.all([1, 2, 3].map(() => failure(pool.acquire(never))));
    expect([memory.connects, new Set(reasons)]).toEqual([
      1,
      new Set(['ldaps://a:636: connect: unreachable']),
    ]);
  });

  test('lets the next one open when the caller of the first gives up', async () => {
    const { pool, memory } = createPool();
    memory.connecting = 'hang';
    const controller = new AbortController();
    const first = failure(pool.acquire(controller.signal));
    const second = pool.acquire(never);
    memory.connecting = 0;
    controller.abort(new Error('caller gone'));
    await pass();
    expect([await first, (await second).reused]).toEqual(['caller gone', false]);
  });

  test('never hands out one that the server has closed', async () => {
    const { pool, memory, use, states } = createPool();
    await use(2);
    memory.connections[1]?.end();
    expect(states()).toEqual([0, 1, 0]);
    expect((await pool.acquire(never)).connection).toBe(memory.connections[0]);
  });

  test('never hands out one that is too old, also when its timer is late', async () => {
    const { memory, pool, use, lag } = createPool({ maxAge: 100_000 });
    await use(1);
    lag(100_000);
    expect([(await pool.acquire(never)).reused, memory.connections[0]?.isOpen]).toEqual([
      false,
      false,
    ]);
  });

  test('closes what is idle too long, and opens none in its place', async () => {
    const { memory, use, states } = createPool({ max: 3 });
    await use(3);
    await pass(59_999);
    expect(memory.openConnections).toBe(3);
    await pass(1);
    expect([memory.openConnections, states()]).toEqual([0, [0, 0, 0]]);
    await pass(600_000);
    expect([memory.connects, vi.getTimerCount()]).toEqual([3, 0]);
  });

  test('counts the idle time of a connection from its last use', async () => {
    const { memory, use } = createPool();
    await use(2);
    await pass(30_000);
    await use(1);
    await pass(30_000);
    expect(memory.connections.map(({ isOpen }) => isOpen)).toEqual([false, true]);
    await pass(30_000);
    expect(memory.openConnections).toBe(0);
  });

  test('closes what is older than maxAge, also if it was used a moment ago', async () => {
    const { memory, use } = createPool({ maxAge: 100_000 });
    await use(1);
    await pass(50_000);
    await use(1);
    await pass(49_999);
    expect(memory.openConnections).toBe(1);
    await pass(1);
    expect([memory.connections[0]?.isOpen, memory.connects]).toEqual([false, 1]);
  });

  test('spreads the ends of those that opened together, from 0.9 to 1.1 of maxAge', async () => {
    const dice = [0, 0.999];
    const { memory, use } = createPool({
      maxAge: 100_000,
      idleTimeout: 200_000,
      random: () => dice.shift() ?? 0.5,
    });
    await use(2);
    const open: number[] = [];
    for (const milliseconds of [89_999, 1, 19_900, 100]) {
      await pass(milliseconds);
      open.push(memory.openConnections);
    }
    expect(open).toEqual([2, 1, 1, 0]);
  });

  test('closes one that passed maxAge in use when it comes back', async () => {
    const { pool, memory } = createPool({ maxAge: 100_000 });
    const lease = await pool.acquire(never);
    await pass(100_000);
    expect(memory.openConnections).toBe(1);
    lease.release(true);
    expect(memory.openConnections).toBe(0);
  });

  test('sends those who wait to another server when the circuit opens', async () => {
    const { pool } = createPool({ max: 1 });
    await pool.acquire(never);
    const waiting = pool.acquire(never).catch((error: unknown) => error);
    pool.rejectWaiting('its circuit is open');
    expect(await waiting).toEqual(new ServerSkipped('unavailable', 'its circuit is open'));
  });

  test('leaves nothing at close: no connection, busy, idle or half open, no timer, no one who waits', async () => {
    const { pool, memory, states } = createPool({ max: 3 });
    const busy = await pool.acquire(never);
    const idle = await pool.acquire(never);
    memory.connecting = 'hang';
    const controller = new AbortController();
    const opening = failure(pool.acquire(controller.signal));
    const waiting = pool.acquire(never);
    idle.release(true);
    await pass();
    controller.abort(new Error('closed'));
    pool.close();
    busy.release(true);
    (await waiting).release(true);
    await pass();
    expect([await opening, memory.connects]).toEqual(['closed', 3]);
    await expect(pool.acquire(never)).rejects.toThrow('is no longer a directory server');
    expect([memory.openConnections, states(), vi.getTimerCount()]).toEqual([0, [0, 0, 0], 0]);
  });
});
