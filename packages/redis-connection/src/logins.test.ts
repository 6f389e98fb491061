import { errorOf } from '@sallyport/test-servers/error-of';
import { listenForNoise } from '@sallyport/test-servers/noise';
import { newPassword } from '@sallyport/test-servers/passwords';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { content, open, outcomeOf, revealed, storeKey, wording } from './testing/opened.ts';

const passwords = {
  default: newPassword(),
  gateway: newPassword(),
  odd: `${newPassword()}:@/%?#ö `,
};
const acl = `compare its ACL with ${wording.minimalAcl}`;
const refused = 'not connected: it refuses the username or the password, or the user is disabled';

const redis = await redisForFile({
  password: passwords.default,
  users: [
    `user gateway on >${passwords.gateway} ~key:* -@all +getrange +pttl +echo`,
    `user off off >${passwords.gateway} ~* +@all`,
    'user open on nopass ~key:* -@all +getrange +pttl +echo',
  ],
});
await redis
  .client()
  .call(
    'ACL',
    'SETUSER',
    'odd:user@x',
    'on',
    `>${passwords.odd}`,
    '~*',
    '+getrange',
    '+pttl',
    '+echo',
  );
const key = await storeKey(redis);

const withLogin = (username: string, password: string) =>
  redis.url.replace('://', `://${encodeURIComponent(username)}:${encodeURIComponent(password)}@`);

describe('a user of Redis', () => {
  test.each<[string, () => object]>([
    [
      'by name and password',
      () => ({ url: redis.url, username: 'gateway', password: passwords.gateway }),
    ],
    ['of the URL', () => ({ url: withLogin('gateway', passwords.gateway) })],
    [
      'named next to a password of the URL',
      () => ({ url: withLogin('', passwords.gateway), username: 'gateway' }),
    ],
    [
      'with a password next to the name in the URL',
      () => ({ url: withLogin('gateway', ''), password: passwords.gateway }),
    ],
    [
      'with characters that URLs do not have',
      () => ({ url: withLogin('odd:user@x', passwords.odd) }),
    ],
    ['without a name, the default one', () => ({ url: redis.url, password: passwords.default })],
    ['of no name in the URL', () => ({ url: withLogin('', passwords.default) })],
    [
      'who needs no password and gives one',
      () => ({ url: redis.url, username: 'open', password: newPassword() }),
    ],
    [
      'over the socket',
      () => ({ url: `unix:${redis.socket}`, username: 'gateway', password: passwords.gateway }),
    ],
  ])('%s may read', async (_, login) => {
    const noise = listenForNoise();
    await using started = await open({ ...login() });
    expect(await started.read(key)).toBe(content);
    expect(noise).toEqual([]);
  });

  const wrong = newPassword();
  test.each<[string, () => object, string]>([
    ['with a wrong password', () => ({ username: 'gateway', password: wrong }), refused],
    [
      'with the password of another',
      () => ({ username: 'gateway', password: passwords.default }),
      refused,
    ],
    ['who does not exist', () => ({ username: 'nobody', password: wrong }), refused],
    ['who is disabled', () => ({ username: 'off', password: passwords.gateway }), refused],
    ['of no name with a wrong password', () => ({ password: wrong }), refused],
    [
      'without a password',
      () => ({}),
      'not connected: it requires a password: set username and password, or put them into the url',
    ],
  ])('%s may not, and the error says how to fix it, and no password', async (_, login, problem) => {
    const noise = listenForNoise();
    await using started = await open({ url: redis.url, ...login() });
    const errors = [await errorOf(started.read(key)), await errorOf(started.read(key))];
    expect(errors[0]).toMatchObject({ name: 'RedisProblem' });
    for (const error of errors) {
      expect(error.message).toBe(`${redis.url}: ${problem}`);
      // The errors of ioredis carry the command and its arguments: the password, with HELLO.
      for (const name of ['cause', 'command', 'args', 'previousErrors', 'lastNodeError']) {
        expect(error).not.toHaveProperty(name);
      }
    }
    for (const secret of [wrong, ...Object.values(passwords)]) {
      expect(revealed([errors, started.lines, started.values, noise])).not.toContain(secret);
    }
    expect(noise).toEqual([]);
    expect(started.values.get('errors_total{kind=authentication}')).toBeGreaterThan(0);
    expect(started.values.get('connected')).toBe(0);
    expect(started.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  test('without a right to read gets an error in plain words, while others go on', async () => {
    const own = newPassword();
    await redis
      .client()
      .call('ACL', 'SETUSER', 'half', 'on', `>${own}`, '~key:*', '+getrange', '+echo');
    await using started = await open({ url: redis.url, username: 'half', password: own });
    const error = await errorOf(started.read(key));
    expect(error).toMatchObject({ name: 'RedisProblem' });
    expect(error.message).toBe(`${redis.url}: the user is not allowed to do this (PTTL): ${acl}`);
    await redis.client().call('ACL', 'SETUSER', 'half', 'resetkeys', '~other:*', '+pttl');
    expect((await errorOf(started.read(key))).message).toBe(
      `${redis.url}: the user is not allowed to do this (GETRANGE on keys ${key.split(':')[0]}:*): ${acl}`,
    );
    expect(started.values.get('errors_total{kind=permission}')).toBe(2);
    await redis.client().call('ACL', 'SETUSER', 'half', '~key:*');
    expect(await started.read(key)).toBe(content);
  });

  test('whose password changes is accepted again with the right one', async () => {
    const own = newPassword();
    const set = (password: string) =>
      redis
        .client()
        .call(
          'ACL',
          'SETUSER',
          'moving',
          'reset',
          'on',
          `>${password}`,
          '~*',
          '+getrange',
          '+pttl',
          '+echo',
        );
    await set(newPassword());
    await using started = await open({ url: redis.url, username: 'moving', password: own });
    await expect(started.read(key)).rejects.toMatchObject({ name: 'RedisProblem' });
    await set(own);
    await waitFor(async () => (await outcomeOf(started.read(key))) === content, 'a value');
    expect(started.values.get('connected')).toBe(1);
  });
});
