import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { waitFor } from '@sallyport/test-servers/wait-for';
import fc from 'fast-check';
import { Redis, type RedisOptions, SentinelConnector } from 'ioredis';
import { expect, test } from 'vitest';
import { retryDelay } from './client.ts';
import './strict-data-handler.ts';

/** The range of Math.random(). */
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('the first pause is 25 to 50 ms, each next one twice as long, up to a second; half of it is random', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 1_000].map((attempt) => retryDelay(attempt, 0))).toEqual([
    25, 50, 100, 200, 400, 500, 500, 500,
  ]);
  const last = 1 - Number.EPSILON;
  expect([1, 2, 3, 4, 5, 6, 7, 1_000].map((attempt) => retryDelay(attempt, last))).toEqual([
    50, 100, 200, 400, 800, 1_000, 1_000, 1_000,
  ]);
});

test('each pause is a whole number of milliseconds within its bounds', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e9 }), random, (attempt, chance) => {
      const delay = retryDelay(attempt, chance);
      expect(Number.isInteger(delay)).toBe(true);
      expect(delay).toBeGreaterThanOrEqual(25);
      expect(delay).toBeLessThanOrEqual(1_000);
      expect(retryDelay(attempt + 1, chance)).toBeGreaterThanOrEqual(delay);
    }),
  );
});

/** Connects to this port as if sentinels had named it. */
function namedBySentinels(port: number): NonNullable<RedisOptions['Connector']> {
  const connector = class extends SentinelConnector {};
  Object.assign(connector.prototype, { resolve: async () => ({ host: '127.0.0.1', port }) });
  return connector as unknown as NonNullable<RedisOptions['Connector']>;
}

const unconnected = { tls: {}, lazyConnect: true, retryStrategy: () => null };

test.each<{ what: string; optionsOf: (port: number) => Omit<RedisOptions, 'replyMapping'> }>([
  { what: 'a server', optionsOf: (port) => ({ port, ...unconnected }) },
  {
    what: 'the master that sentinels name',
    optionsOf: (port) => ({
      Connector: namedBySentinels(port),
      sentinels: [{ port: 1 }],
      name: 'm',
      enableTLSForSentinelMode: true,
      ...unconnected,
    }),
  },
])(
  'a second error while a connection to $what is made does not end the process',
  async ({ optionsOf }) => {
    // It never answers, so the TLS handshake does not end.
    const silent = createServer((socket) => socket.on('error', () => {}));
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    const client = new Redis(optionsOf((silent.address() as AddressInfo).port));
    client
      .on('error', () => {})
      .connect()
      .catch(() => {});
    try {
      const stream = await waitFor(
        async () => (client as unknown as { stream?: Socket }).stream,
        'a socket',
      );
      stream.emit('error', new Error('the first'));
      expect(stream.emit('error', new Error('the second'))).toBe(true);
    } finally {
      client.disconnect();
      silent.close();
    }
  },
);

test('the private method that is overridden exists in the pinned version', () => {
  expect(SentinelConnector.prototype).toHaveProperty('connectToSentinel');
});
