import { randomBytes } from 'node:crypto';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitUntil } from '@sallyport/test-servers/wait-until';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listenForNoise } from '../../fixtures/noise.ts';
import { outcomeOf } from '../../fixtures/outcome.ts';
import { errorOf, startAuthenticator } from '../../fixtures/plugin.ts';
import { storeToken } from '../../fixtures/records.ts';
import { told } from '../../fixtures/told.ts';

const newPassword = () => randomBytes(18).toString('base64url');
const passwords = { default: newPassword(), gateway: newPassword(), odd: `${newPassword()}:@/%?#ö ` };
const refused = 'not connected: it refuses the username or the password, or the user is off';

let redis: RedisServer;
let token: string;
beforeAll(async () => {
  redis = await startRedis({
    password: passwords.default,
    users: [
      `user gateway on >${passwords.gateway} ~sallyport:token:* -@all +get +pttl`,
      `user off off >${passwords.gateway} ~* +@all`,
      'user open on nopass ~sallyport:token:* -@all +get +pttl',
    ],
  });
  await redis.client().call('ACL', 'SETUSER', 'odd:user@x', 'on', `>${passwords.odd}`, '~*', '+get', '+pttl');
  token = await storeToken(redis.client(), 'json', { username: 'ci' });
});
afterAll(() => redis?.[Symbol.asyncDispose]());

const withLogin = (username: string, password: string) =>
  redis.url.replace('://', `://${encodeURIComponent(username)}:${encodeURIComponent(password)}@`);

describe('a user of Redis', () => {
  test.each<[string, () => object]>([
    ['by name and password', () => ({ url: redis.url, username: 'gateway', password: passwords.gateway })],
    ['of the URL', () => ({ url: withLogin('gateway', passwords.gateway) })],
    ['named beside a password of the URL', () => ({ url: withLogin('', passwords.gateway), username: 'gateway' })],
    [
      'with a password beside its name in the URL',
      () => ({ url: withLogin('gateway', ''), password: passwords.gateway }),
    ],
    ['with characters that URLs do not have', () => ({ url: withLogin('odd:user@x', passwords.odd) })],
    ['of no name, the default one', () => ({ url: redis.url, password: passwords.default })],
    ['of no name in the URL', () => ({ url: withLogin('', passwords.default) })],
    ['who needs no password and gives one', () => ({ url: redis.url, username: 'open', password: newPassword() })],
    ['over the socket', () => ({ url: `unix:${redis.socket}`, username: 'gateway', password: passwords.gateway })],
  ])('%s may look tokens up', async (_, login) => {
    const noise = listenForNoise();
    await using started = await startAuthenticator({ ...login() });
    expect(await started.ask(token)).toMatchObject({ kind: 'authenticated', user: { username: 'ci' } });
    await started.check();
    expect(noise).toEqual([]);
  });

  const wrong = newPassword();
  test.each<[string, () => object, string]>([
    ['with a wrong password', () => ({ username: 'gateway', password: wrong }), refused],
    ['with the password of another', () => ({ username: 'gateway', password: passwords.default }), refused],
    ['who is not there', () => ({ username: 'nobody', password: wrong }), refused],
    ['who is off', () => ({ username: 'off', password: passwords.gateway }), refused],
    ['of no name with a wrong password', () => ({ password: wrong }), refused],
    [
      'without a password',
      () => ({}),
      'not connected: it asks for a password: give username and password, or put them into the url',
    ],
  ])('%s may not, and what is said of it is the mend, and no password', async (_, login, problem) => {
    const noise = listenForNoise();
    await using started = await startAuthenticator({ url: redis.url, ...login() });
    const errors = [await errorOf(started.ask(token)), await errorOf(started.check())];
    expect(errors[0]).toMatchObject({ name: 'AuthenticatorError', code: 'unavailable' });
    for (const error of errors) {
      expect(error.message).toBe(`${redis.url}: ${problem}`);
      // Those of ioredis carry what was sent: the password, with HELLO.
      for (const name of ['cause', 'command', 'args', 'previousErrors', 'lastNodeError']) {
        expect(error).not.toHaveProperty(name);
      }
    }
    for (const secret of [wrong, ...Object.values(passwords)]) {
      expect(told([errors, started.lines, started.values, noise])).not.toContain(secret);
    }
    expect(noise).toEqual([]);
    expect(started.values.get('faults_total{kind=authentication}')).toBeGreaterThan(0);
    expect(started.values.get('connected')).toBe(0);
    expect(started.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  test('without a right to read is told so, in plain words, while others go on', async () => {
    const own = newPassword();
    await redis.client().call('ACL', 'SETUSER', 'half', 'on', `>${own}`, '~sallyport:token:*', '+get');
    await using started = await startAuthenticator({ url: redis.url, username: 'half', password: own });
    const error = await errorOf(started.ask(token));
    expect(error).toMatchObject({ code: 'unavailable' });
    expect(error.message).toBe(
      `${redis.url}: the user may not do this (PTTL): look at its ACL, and at the least one in the README`,
    );
    await redis.client().call('ACL', 'SETUSER', 'half', 'resetkeys', '~other:*', '+pttl');
    expect((await errorOf(started.ask(token))).message).toBe(
      `${redis.url}: the user may not do this: look at its ACL, and at the least one in the README`,
    );
    expect(started.values.get('faults_total{kind=permission}')).toBe(2);
    await redis.client().call('ACL', 'SETUSER', 'half', '~sallyport:token:*');
    expect(await started.ask(token)).toMatchObject({ kind: 'authenticated' });
  });

  test('whose password is changed is let in again once the new one is set', async () => {
    const own = newPassword();
    const set = (password: string) =>
      redis.client().call('ACL', 'SETUSER', 'moving', 'reset', 'on', `>${password}`, '~*', '+get', '+pttl');
    await set(newPassword());
    await using started = await startAuthenticator({ url: redis.url, username: 'moving', password: own });
    await expect(started.ask(token)).rejects.toMatchObject({ code: 'unavailable' });
    await set(own);
    await waitUntil(async () => (await outcomeOf(started.ask(token))) === 'authenticated', 'a login');
    expect(started.values.get('connected')).toBe(1);
  });
});
