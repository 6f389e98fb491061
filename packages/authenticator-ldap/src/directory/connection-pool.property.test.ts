import { countingMetrics } from '@sallyport/test-servers/counting-metrics';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LdapConnection } from '../connection/types.ts';
import { createConnectionPool, type Lease } from './connection-pool.ts';
import { createServerMetrics } from './metrics.ts';

const step = fc.oneof(
  fc.record({ kind: fc.constant('acquire' as const) }),
  fc.record({
    kind: fc.constantFrom(
      'open',
      'refuse',
      'release',
      'fail',
      'replace',
      'abort',
      'hang-up',
      'drop-idle',
      'age',
    ),
    which: fc.nat(20),
  }),
);

/** Creates a pool whose connections open when the test says so, by the clock of the test. */
function createPool(max: number) {
  let time = 0;
  const openings: { resolve(connection: LdapConnection): void; reject(error: Error): void }[] = [];
  const connections = new Set<{ connection: LdapConnection; hangUp(): void }>();
  const { metrics, values } = countingMetrics();
  const pool = createConnectionPool({
    url: 'u',
    max,
    idleTimeout: 50,
    maxAge: 100,
    waitTimeout: 1e9,
    now: () => time,
    random: () => 0.5,
    metrics: createServerMetrics(metrics)('u').pool('service'),
    open: (signal) =>
      new Promise((resolve, reject) => {
        const opening = { resolve, reject };
        openings.push(opening);
        signal.addEventListener('abort', () => {
          openings.splice(openings.indexOf(opening), 1);
          reject(signal.reason);
        });
      }),
  });
  const connect = () => {
    const listeners: (() => void)[] = [];
    let isOpen = true;
    const close = () => {
      if (!isOpen) return;
      isOpen = false;
      connections.delete(entry);
      for (const listener of listeners) listener();
    };
    const unused = () => Promise.reject(new Error('not used here'));
    const connection: LdapConnection = {
      bind: unused,
      search: unused,
      get isOpen() {
        return isOpen;
      },
      onClose: (listener) => listeners.push(listener),
      close,
    };
    const entry = { connection, hangUp: close };
    connections.add(entry);
    return connection;
  };
  return { pool, openings, connections, connect, values, age: () => (time += 30) };
}

/** Waits until all that is ready to run has run. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test('whatever happens in whatever order: never more than max, none used by two, no caller forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(step, { maxLength: 60 }),
      async (max, steps) => {
        const { pool, openings, connections, connect, values, age } = createPool(max);
        const waiting = new Set<AbortController>();
        const leases: Lease[] = [];
        const take = (signal: AbortController, promise: Promise<Lease>) => {
          waiting.add(signal);
          promise
            .then((lease) => leases.push(lease))
            .catch(() => {})
            .finally(() => waiting.delete(signal));
        };
        const pick = <T>(from: Iterable<T>, which: number): T | undefined => {
          const all = [...from];
          return all[which % Math.max(all.length, 1)];
        };
        for (const { kind, ...rest } of steps) {
          const which = 'which' in rest ? (rest.which as number) : 0;
          if (kind === 'acquire') {
            const controller = new AbortController();
            take(controller, pool.acquire(controller.signal));
          }
          if (kind === 'open') openings.shift()?.resolve(connect());
          if (kind === 'refuse') openings.shift()?.reject(new Error('down'));
          if (kind === 'release' || kind === 'fail') {
            leases.splice(which % Math.max(leases.length, 1), 1)[0]?.release(kind === 'release');
          }
          if (kind === 'replace') {
            const [lease] = leases.splice(which % Math.max(leases.length, 1), 1);
            const controller = new AbortController();
            if (lease)
              take(
                controller,
                lease.replace(controller.signal).then(() => lease),
              );
          }
          if (kind === 'abort') pick(waiting, which)?.abort(new Error('gone'));
          if (kind === 'hang-up') pick(connections, which)?.hangUp();
          if (kind === 'drop-idle') pool.dropIdle();
          if (kind === 'age') age();
          await settle();

          const leased = leases.map(({ connection }) => connection);
          expect(new Set(leased).size).toBe(leased.length);
          expect(connections.size + openings.length).toBeLessThanOrEqual(max);
        }
        // All that still waits is served once connections open and come back.
        for (let round = 0; waiting.size > 0 || leases.length > 0; round++) {
          expect(round).toBeLessThan(200);
          for (const lease of leases.splice(0)) lease.release(true);
          openings.shift()?.resolve(connect());
          await settle();
        }
        pool.close();
        for (const opening of openings.splice(0)) opening.resolve(connect());
        await settle();
        expect(connections.size).toBe(0);
        const left = ['opening', 'idle', 'busy'].map(
          (state) => values.get(`connections{server=u,use=service,state=${state}}`) ?? 0,
        );
        expect(left).toEqual([0, 0, 0]);
      },
    ),
    { numRuns: 150 },
  );
});
