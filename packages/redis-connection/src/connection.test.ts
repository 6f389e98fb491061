import { recordingContext } from '@sallyport/authenticator/conformance';
import { errorOf } from '@sallyport/test-servers/error-of';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { connect } from './index.ts';
import { content, never, newKey, open, storeKey, wording } from './testing/opened.ts';
import { settled } from './testing/written-options.ts';

const redis = await redisForFile();

test('a caller with a shorter deadline fails at its deadline, and the connection stays for the others', async () => {
  const key = await storeKey(redis);
  await using started = await open({ url: redis.url, commandTimeout: '30s' });
  await redis.hang();
  const waiting = started.read(key);
  const { message } = await errorOf(started.read(key, never, 20));
  expect(message).toBe(`${redis.url}: no answer in time`);
  expect(started.values.get('errors_total{kind=timeout}')).toBe(1);
  expect(started.values.get('connected')).toBe(1);
  await redis.start();
  expect(await waiting).toBe(content);
  expect(started.lines.map(({ level }) => level)).toEqual(['info']);
});

test('no caller waits longer than commandTimeout, whatever it asks for', async () => {
  await using started = await open({ url: redis.url, commandTimeout: '50ms' });
  const endless = started.connection.run(() => new Promise(() => {}), never, 1 << 30);
  expect((await errorOf(endless)).message).toBe(`${redis.url}: no answer in time`);
});

test('a value of another type is reported with the wording of the caller', async () => {
  await using started = await open({ url: redis.url });
  const key = newKey();
  await redis.client().hset(key, { field: 'text' });
  const error = await errorOf(started.read(key));
  expect(error).toMatchObject({ kind: 'type' });
  expect(error.message).toBe(`${redis.url}: the value is of another type ${wording.wrongType}`);
  const answer = Object.assign(new Error('NOPERM'), { name: 'ReplyError' });
  expect(started.connection.describeProblem(answer, 'redis-a')).toContain(
    `compare its ACL with ${wording.minimalAcl}`,
  );
});

test('the help of the metrics says what a rise means to the owner of the connection', async () => {
  const { context, metrics } = recordingContext({ pluginName: 'redis', baseDirectory: '/' });
  const connection = await connect(settled({ url: redis.url }), wording, context);
  await connection.close();
  const help = metrics.find(({ name }) => name.endsWith('_errors_total'))?.help;
  expect(help).toMatch(new RegExp(` A rise means that ${wording.consequence}\\.$`));
});

test('whoever has the context is told of each connection, once the server has answered on it', async () => {
  await redis.hang();
  const { context } = recordingContext({ pluginName: 'redis', baseDirectory: '/' });
  let reconnections = 0;
  const counting = {
    ...context,
    backendReconnected() {
      reconnections += 1;
    },
  };
  const connection = await connect(
    settled({ url: redis.url, commandTimeout: '100ms' }),
    wording,
    counting,
  );
  // It accepts connections, and answers on none.
  const status = () => connection.run(async (client) => client.status, never);
  await waitFor(async () => (await status()) === 'reconnecting', 'the first one to be given up');
  expect(reconnections).toBe(0);
  await redis.start();
  await waitFor(() => reconnections === 1, 'the first connection');
  await redis.client().call('CLIENT', 'KILL', 'SKIPME', 'yes');
  await waitFor(() => reconnections === 2, 'the second connection');
  await connection.close();
});
