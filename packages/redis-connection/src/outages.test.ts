import { execFileSync } from 'node:child_process';
import { setImmediate } from 'node:timers/promises';
import { errorOf } from '@sallyport/test-servers/error-of';
import { listenForNoise } from '@sallyport/test-servers/noise';
import { clientsOf, commandCalls } from '@sallyport/test-servers/redis-command-calls';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { noHandshake } from './problems.ts';
import {
  content,
  newKey,
  type Opened,
  open,
  outcomeOf,
  revealed,
  storeKey,
} from './testing/opened.ts';

const redis = await redisForFile();
afterEach(() => redis.start());

const untilRead = (started: Opened, key: string) =>
  waitFor(async () => (await outcomeOf(started.read(key))) === content, 'a value');

/** A cell that nothing changes, to wait for without a turn of the event loop. */
const cell = new Int32Array(new SharedArrayBuffer(4));

const reports = ({ lines }: Opened) => lines.map(({ level, message }) => `${level}: ${message}`);
const up = 'info: connected to Redis';
const down = 'warn: no connection to Redis; trying again';

describe.each([
  { name: 'was stopped', end: redis.stop },
  { name: 'was killed', end: redis.kill },
])('a Redis that $name', ({ end }) => {
  test('is noticed immediately, no command waits for it, and none is sent to it afterwards', async () => {
    const noise = listenForNoise();
    await using started = await open({ url: redis.url, commandTimeout: '5s' });
    const key = await storeKey(redis);
    await untilRead(started, key);
    await end();
    await waitFor(() => started.values.get('connected') === 0, 'the end to be seen');

    // A command that waited would have no answer in time.
    for (let count = 0; count < 200; count += 1) {
      const error = await errorOf(started.read(newKey()));
      expect(error).toMatchObject({ name: 'RedisProblem' });
      expect(error.message).toMatch(
        /: (not connected: )?the connection was (refused: |reset$|closed$)/,
      );
    }

    await redis.start();
    await untilRead(started, key);
    const calls = await commandCalls(redis);
    expect([calls.of('getrange'), calls.of('pttl')]).toEqual([1, 1]);
    expect(started.values.get('connected')).toBe(1);
    expect(reports(started)).toEqual([up, down, up]);
    expect(noise).toEqual([]);
  });

  test('ends the pending commands, and no error reveals what was sent', async () => {
    const noise = listenForNoise();
    await using started = await open({ url: redis.url, commandTimeout: '30s' });
    await redis.hang();
    const keys = Array.from({ length: 20 }, () => newKey());
    const asking = Promise.all(keys.map((key) => errorOf(started.read(key))));
    // The command is sent by then: the commands of a turn are sent at its end.
    await setImmediate();
    await setImmediate();
    await end();
    const errors = await asking;
    for (const error of errors) {
      expect(error).toMatchObject({ name: 'RedisProblem' });
      expect(error.message).not.toContain('no answer in time');
      for (const name of ['cause', 'command', 'args']) expect(error).not.toHaveProperty(name);
    }
    for (const key of keys) {
      expect(revealed(errors)).not.toContain(key);
    }
    expect(noise).toEqual([]);
  });
});

describe('a Redis that hangs', () => {
  test('delays the commands that wait for it by commandTimeout, and none after them', async () => {
    const noise = listenForNoise();
    await using started = await open({ url: redis.url, commandTimeout: '400ms' });
    const key = await storeKey(redis);
    await untilRead(started, key);
    await redis.hang();

    const errors = await Promise.all(Array.from({ length: 50 }, () => errorOf(started.read(key))));
    for (const { message } of errors)
      expect(message).toMatch(/^\S+: (not connected: )?no answer in time$/);

    await waitFor(() => started.values.get('connected') === 0, 'the connection to be given up');
    // A command that waited for its connection would not say that there is none.
    for (let count = 0; count < 100; count += 1) {
      expect((await errorOf(started.read(key))).message).toMatch(
        /^\S+: not connected: no answer in time$/,
      );
    }

    await redis.start();
    await untilRead(started, key);
    await waitFor(async () => (await clientsOf(redis)).length === 1, 'the old connections to end');
    expect(reports(started)).toEqual([up, down, up]);
    expect(started.values.get('errors_total{kind=timeout}')).toBeGreaterThanOrEqual(50);
    expect(noise).toEqual([]);
  });

  test('keeps a start waiting for 5 s at most, however long commandTimeout is', async () => {
    await redis.hang();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const opening = open({ url: redis.url, commandTimeout: '30s' });
    await expect.poll(() => vi.getTimerCount()).toBeGreaterThan(0);
    const state = () => Promise.race([opening.then(() => 'open'), setImmediate('waiting')]);
    await vi.advanceTimersByTimeAsync(5_000);
    const after = await state();
    vi.useRealTimers();
    await redis.start();
    await (await opening)[Symbol.asyncDispose]();
    expect(after).toBe('open');
  });

  test('during the handshake does not prevent a later connection', async () => {
    const noise = listenForNoise();
    const key = await storeKey(redis);
    await redis.hang();
    await using started = await open({ url: redis.url, commandTimeout: '200ms' });
    expect(await outcomeOf(started.read(key))).toBe('problem');
    await redis.start();
    await untilRead(started, key);
    expect(noise).toEqual([]);
  });

  test('in the TLS handshake is abandoned after commandTimeout, and tried again', async () => {
    const key = await storeKey(redis);
    await redis.hang();
    await using started = await open({
      url: redis.tlsUrl,
      caFile: redis.caFile,
      commandTimeout: '100ms',
    });
    await waitFor(
      () => (started.values.get('errors_total{kind=timeout}') ?? 0) >= 3,
      'three attempts',
    );
    expect((await errorOf(started.read(key))).message).toBe(
      `${redis.tlsUrl}: not connected: ${noHandshake.problem}`,
    );
    await redis.start();
    await untilRead(started, key);
  });

  test('does not prevent a close', async () => {
    const noise = listenForNoise();
    await using started = await open({ url: redis.url, commandTimeout: '30s' });
    await redis.hang();
    const asking = errorOf(started.read(newKey()));
    await setImmediate();
    await started.connection.close();
    await started.connection.close();
    expect(await asking).toMatchObject({ name: 'RedisProblem' });
    expect(reports(started)).toEqual([up]);
    expect(noise).toEqual([]);
  });
});

test('a process that was busy for longer than commandTimeout reads what has arrived, and its connection stays', async () => {
  const key = await storeKey(redis);
  await using started = await open({ url: redis.url, commandTimeout: '50ms' });
  await redis.client().config('RESETSTAT');
  const reading = outcomeOf(started.read(key));
  // The commands of a turn are sent at its end.
  await setImmediate();
  await setImmediate();
  const counts = () =>
    execFileSync('redis-cli', ['-p', String(redis.port), 'INFO', 'commandstats'], {
      encoding: 'utf8',
    });
  while (!counts().includes('cmdstat_pttl:calls=1')) Atomics.wait(cell, 0, 0, 1);
  Atomics.wait(cell, 0, 0, 100);
  expect(await reading).toBe(content);
  await setImmediate();
  expect(reports(started)).toEqual([up]);
});

test('a Redis that starts late is connected then, and closing ends the attempts', async () => {
  const noise = listenForNoise();
  const key = await storeKey(redis);
  await redis.stop();
  const closed = await open({ url: redis.url });
  await using started = await open({ url: redis.url });
  expect(await outcomeOf(started.read(key))).toBe('problem');
  await closed.connection.close();
  await redis.start();
  await untilRead(started, key);
  expect(await outcomeOf(closed.read(key))).toBe('problem');
  expect(await clientsOf(redis)).toHaveLength(1);
  expect(reports(started)).toEqual([down, up]);
  expect(noise).toEqual([]);
});

test('a connection that Redis ends is reported, without an earlier problem', async () => {
  await redis.stop();
  await using started = await open({ url: redis.url });
  await redis.start();
  await waitFor(() => started.values.get('connected') === 1, 'a connection');
  await redis.client().call('CLIENT', 'KILL', 'SKIPME', 'yes');
  await waitFor(() => reports(started).length === 4, 'another connection');
  expect(reports(started)).toEqual([down, up, down, up]);
  const problems = started.lines.flatMap(({ fields }) =>
    'problem' in fields ? [fields.problem] : [],
  );
  expect(problems).toEqual([
    'the connection was refused: is it running, and is this its port?',
    'the connection was closed',
  ]);
});

test('an aborted call ends immediately, with the reason of the abort', async () => {
  await using started = await open({ url: redis.url, commandTimeout: '30s' });
  await redis.hang();
  const controller = new AbortController();
  const reason = new Error('the caller has gone');
  const asking = errorOf(started.read(newKey(), controller.signal));
  await setImmediate();
  controller.abort(reason);
  expect(await asking).toBe(reason);
  expect(started.values.has('errors_total{kind=timeout}')).toBe(false);
});
