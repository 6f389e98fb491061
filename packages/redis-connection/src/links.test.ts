import { startRedis } from '@sallyport/test-servers/redis';
import { waitUntil } from '@sallyport/test-servers/wait-until';
import { expect, test } from 'vitest';
import { wording } from '../fixtures/opened.ts';
import { settled } from '../fixtures/written-options.ts';
import { createLinks } from './links.ts';

test('a client that was ended from within goes on, until it is dropped', async () => {
  await using redis = await startRedis();
  const options = settled({ url: redis.url });
  const told: string[] = [];
  const events = { onFault: () => {}, onUp: () => told.push('up'), onDown: () => told.push('down') };
  const links = createLinks(options, { tls: () => undefined, random: Math.random, wording }, events);
  const link = links.create();
  links.use(link);
  await link.client.connect();
  for (let round = 0; round < 3; round += 1) {
    // As ioredis does when it hears of a failover in the middle of a try to connect: it never tries again by itself.
    link.client.disconnect();
    await waitUntil(() => link.client.status === 'end', 'its end');
    await waitUntil(() => link.client.status === 'ready', 'it to be connected again');
  }
  expect(told).toEqual(['up', 'down', 'up', 'down', 'up', 'down', 'up']);
  links.close();
  await waitUntil(() => link.client.status === 'end', 'its end');
  const clients = async () =>
    String(await redis.client().call('CLIENT', 'LIST', 'TYPE', 'NORMAL'))
      .trim()
      .split('\n');
  await waitUntil(async () => (await clients()).length === 1, 'nobody but this test to be connected');
  expect(link.client.status).toBe('end');
});
