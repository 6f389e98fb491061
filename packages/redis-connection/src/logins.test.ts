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
const refused = `not connected: it refuses the username or the password, or the user is disabled: create the user, or correct the password: ${wording.minimalAcl}`;

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
  test.each<{ name: string; login: () => object }>([
    {
      name: 'by name and password',
      login: () => ({ url: redis.url, username: 'gateway', password: passwords.gateway }),
    },
    { name: 'of the URL', login: () => ({ url: withLogin('gateway', passwords.gateway) }) },
    {
      name: 'named next to a password of the URL',
      login: () => ({ url: withLogin('', passwords.gateway), username: 'gateway' }),
    },
    {
      name: 'with a password next to the name in the URL',
      login: () => ({ url: withLogin('gateway', ''), password: passwords.gateway }),
    },
    {
      name: 'with characters that URLs do not have',
      login: () => ({ url: withLogin('odd:user@x', passwords.odd) }),
    },
    {
      name: 'without a name, the default one',
      login: () => ({ url: redis.url, password: passwords.default }),
    },
    { name: 'of no name in the URL', login: () => ({ url: withLogin('', passwords.default) }) },
    {
      name: 'who needs no password and gives one',
      login: () => ({ url: redis.url, username: 'open', password: newPassword() }),
    },
    {
      name: 'over the socket',
      login: () => ({
        url: `unix:${redis.socket}`,
        username: 'gateway',
        password: passwords.gateway,
      }),
    },
  ])('$name may read', async ({ login }) => {
    const noise = listenForNoise();
    await using started = await open({ ...login() });
    expect(await started.read(key)).toBe(content);
    expect(noise).toEqual([]);
  });

  const wrong = newPassword();
  test.each<{ name: string; login: () => object; problem: string }>([
    {
      name: 'with a wrong password',
      login: () => ({ username: 'gateway', password: wrong }),
      problem: refused,
    },
    {
      name: 'with the password of another',
      login: () => ({ username: 'gateway', password: passwords.default }),
      problem: refused,
    },
    {
      name: 'who does not exist',
      login: () => ({ username: 'nobody', password: wrong }),
      problem: refused,
    },
    {
      name: 'who is disabled',
      login: () => ({ username: 'off', password: passwords.gateway }),
      problem: refused,
    },
    {
      name: 'of no name with a wrong password',
      login: () => ({ password: wrong }),
      problem: refused,
    },
    {
      name: 'without a password',
      login: () => ({}),
      problem:
        'not connected: it requires a password: set username and password, or put them into the url',
    },
  ])(
    '$name may not, and the error says how to fix it, and no password',
    async ({ login, problem }) => {
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
    },
  );

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
