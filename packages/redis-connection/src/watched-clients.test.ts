import { startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { never, wording } from './testing/opened.ts';
import { settled } from './testing/written-options.ts';
import { openClients } from './watched-clients.ts';

test('a client that ended by itself connects again, until it is dropped', async () => {
  await using redis = await startRedis();
  const options = settled({ url: redis.url });
  const events: string[] = [];
  const listeners = {
    onProblem: () => {},
    onUp: () => events.push('up'),
    onDown: () => events.push('down'),
  };
  const opened = await openClients(
    options,
    () => undefined,
    { name: 'redis', wording },
    listeners,
    never,
  );
  const watched = opened.current;
  for (let round = 0; round < 3; round += 1) {
    // ioredis does this when it hears of a failover during an attempt to connect. It never tries again by itself.
    watched.client.disconnect();
    await waitFor(() => watched.client.status === 'end', 'its end');
    await waitFor(() => watched.client.status === 'ready', 'it to be connected again');
  }
  expect(events).toEqual(['up', 'down', 'up', 'down', 'up', 'down', 'up']);
  opened.close();
  await waitFor(() => watched.client.status === 'end', 'its end');
  const clients = async () =>
    String(await redis.client().call('CLIENT', 'LIST', 'TYPE', 'NORMAL'))
      .trim()
      .split('\n');
  await waitFor(
    async () => (await clients()).length === 1,
    "all connections but the test's own to end",
  );
  expect(watched.client.status).toBe('end');
});
