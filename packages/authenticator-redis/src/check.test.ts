import { errorOf } from '@sallyport/test-servers/error-of';
import { listenForNoise } from '@sallyport/test-servers/noise';
import { newPassword } from '@sallyport/test-servers/passwords';
import { startRedis } from '@sallyport/test-servers/redis';
import { commandCalls, forgetCalls } from '@sallyport/test-servers/redis-command-calls';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { beforeEach, describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from './layouts.ts';
import { lookUpCommands, lookUpRights } from './testing/access-lists.ts';
import { startAuthenticator } from './testing/plugin.ts';
import { storeToken } from './testing/records.ts';

const password = newPassword();

const redis = await redisForFile();
beforeEach(async () => {
  await redis.client().flushall();
});

const grant = (...rights: readonly string[]) =>
  redis.client().call('ACL', 'SETUSER', 'gateway', 'reset', 'on', `>${password}`, ...rights);
const acl = 'compare its ACL with docs/redis.md (Permissions)';

describe.each(Object.keys(layouts) as LayoutName[])('check(), with records as %s', (layout) => {
  const commands = lookUpCommands(layout);
  const written = (changed: object = {}) => ({
    url: redis.url,
    layout,
    username: 'gateway',
    password,
    ...changed,
  });
  async function problem(changed: object = {}): Promise<string> {
    const noise = listenForNoise();
    await using started = await startAuthenticator(written(changed));
    const { message } = await errorOf(started.check());
    expect(message).not.toContain(password);
    expect(noise).toEqual([]);
    return message;
  }

  test('accepts a server that answers, and sends it the commands of a login', async () => {
    await grant('~sallyport:token:*', ...lookUpRights(layout));
    await using started = await startAuthenticator(written());
    const token = await storeToken(redis.client(), layout, { username: 'ci' });
    expect(await started.ask(token)).toMatchObject({ kind: 'authenticated' });
    await forgetCalls(redis);
    await started.check();
    const calls = await commandCalls(redis);
    expect(calls.names).toEqual(commands);
    expect(commands.map((command) => calls.of(command))).toEqual(commands.map(() => 1));
    expect(await redis.client().dbsize()).toBe(1);
  });

  test.each(commands)('finds that the right to %s is missing', async (missing) => {
    await grant(
      '~sallyport:token:*',
      ...lookUpRights(layout).filter((right) => right !== `+${missing}`),
    );
    expect(await problem()).toBe(
      `${redis.url}: the user is not allowed to do this (${missing.toUpperCase()}): ${acl}`,
    );
  });

  test('finds that the user may not read keys', async () => {
    await grant('~sallyport:other:*', ...lookUpRights(layout));
    const command = layout === 'json' ? 'GETRANGE' : 'EVAL_RO';
    expect(await problem()).toBe(
      `${redis.url}: the user is not allowed to do this (${command} on keys sallyport:token:*): ${acl}`,
    );
  });

  test('with trackLastUse finds that notes may not be written, and leaves nothing behind otherwise', async () => {
    await grant('~sallyport:token:*', ...lookUpRights(layout));
    expect(await problem({ trackLastUse: '5m' })).toBe(
      `${redis.url}: the user is not allowed to do this (SET): ${acl}`,
    );
    await grant('%R~sallyport:token:*', ...lookUpRights(layout), '+set');
    expect(await problem({ trackLastUse: '5m' })).toBe(
      `${redis.url}: the user is not allowed to do this (SET on keys sallyport:token:*): ${acl}`,
    );
    await grant(
      '%R~sallyport:token:*',
      '%W~sallyport:token:*:last-use',
      ...lookUpRights(layout),
      '+set',
    );
    await using started = await startAuthenticator(written({ trackLastUse: '5m' }));
    await started.check();
    await waitFor(async () => (await redis.client().dbsize()) === 0, 'the note to go');
  });
});

test('check() reports a refused login', async () => {
  await grant('~*', '+@all');
  await using started = await startAuthenticator({
    url: redis.url,
    username: 'gateway',
    password: 'wrong',
  });
  expect((await errorOf(started.check())).message).toBe(
    `${redis.url}: not connected: it refuses the username or the password, or the user is disabled: create the user, or correct the password: docs/redis.md (Permissions)`,
  );
});

test('check() reports a server that is down, and one that hangs', async () => {
  await using own = await startRedis();
  await using started = await startAuthenticator({ url: own.url, commandTimeout: '100ms' });
  await own.hang();
  expect((await errorOf(started.check())).message).toBe(`${own.url}: no answer in time`);
  await own.stop();
  const refused = `${own.url}: not connected: the connection was refused: is it running, and is this its port?`;
  await waitFor(
    async () => (await errorOf(started.check())).message === refused,
    'a refused connection',
  );
  await own.start();
  await waitFor(
    async () => (await started.check().then(() => 'ok', String)) === 'ok',
    'a connection',
  );
});

test('check() ends immediately when it is aborted', async () => {
  const reason = new Error('the caller has gone');
  await using started = await startAuthenticator({ url: redis.url });
  expect(
    await errorOf(started.authenticator.check?.(AbortSignal.abort(reason)) ?? Promise.resolve()),
  ).toBe(reason);
});

test('names the place of its tokens, without the user and the password', async () => {
  const storeOf = async (written: object) => {
    await using started = await startAuthenticator({ url: redis.url, ...written });
    return started.authenticator.tokenStore;
  };
  const place = `redis://127.0.0.1:${redis.port}, database 0, keys sallyport:token:*`;
  expect(await storeOf({})).toBe(place);
  expect(
    await storeOf({ url: `redis://gateway:${password}@127.0.0.1:${redis.port}/0`, layout: 'hash' }),
  ).toBe(place);
  expect(await storeOf({ keyPrefix: 'other:' })).toBe(place.replace('sallyport:token:', 'other:'));
  expect(await storeOf({ database: 3 })).toBe(place.replace('database 0', 'database 3'));
});
