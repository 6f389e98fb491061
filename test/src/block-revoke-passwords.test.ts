import { ldapToken, startPeople } from '@sallyport/test-servers/people';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { issue } from '@sallyport/test-servers/redis-tokens';
import { secret } from '@sallyport/test-servers/tokens';
import { afterEach, describe, expect, test } from 'vitest';
import { refused } from './testing/redis-gateway.ts';
import { cachedRobots, replicasConfig, startReplicas } from './testing/replicas.ts';

const redis = await redisForFile();
afterEach(async () => {
  await redis.client().flushall();
});

describe('a token that carries a password', () => {
  test('is not blocked by its bytes, since other spellings would still get in; its user is, as the command says', async () => {
    await using people = await startPeople();
    const config = replicasConfig([people.authenticator(), cachedRobots(redis.url)], redis.url);
    await using replicas = await startReplicas(1, config, people.files);
    const { operator, ask } = replicas;
    const { alice } = people;
    const spellings = [
      alice.token,
      ldapToken('ALICE', alice.password),
      secret(alice.token.replace(/=+$/, '')),
    ];
    const isAlice = { authenticated: true, user: { username: 'corp:alice' } };
    const answers = async () => (await Promise.all(spellings.map(ask))).flat();
    for (const answer of await answers()) expect(answer).toMatchObject(isAlice);

    for (const [words, instead] of [
      [
        ['block', '--token', '--for', '1h'],
        'npx -y pnpm@10 sallyport block --user corp:alice --for 8h',
      ],
      [['revoke', '--token'], 'npx -y pnpm@10 sallyport revoke --user corp:alice'],
    ] as const) {
      const { code, stdout, stderr } = await operator.run(words, alice.token);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr.replace(/ --config \S+\n$/, '\n')).toBe(
        `sallyport: nothing was done: the token contains a password, for authenticator corp. The same login in another spelling, such as with ` +
          `other capitals in the name, is another token, so this command would have no effect\n  fix: name the user as Kubernetes sees ` +
          `them (username in the log), and have the password changed. If the token contains the name as the backend writes it, ` +
          `run:\n    ${instead}\n`,
      );
    }
    expect(await operator.run(['blocks'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'sallyport: no one is blocked\n',
    });
    const named = await operator.run(['block', '--user', 'corp:alice', '--for', '8h']);
    expect([named.code, named.stderr]).toEqual([0, '']);
    expect(named.stdout).toContain('\nconfirmed by 1 of 1 replica.\n');
    expect(await answers()).toEqual([refused, refused, refused]);
    const mistyped = await operator.run(['block', '--user', 'corp:alcie', '--for', '8h']);
    expect([mistyped.code, mistyped.stderr]).toEqual([
      0,
      expect.stringContaining('knows user corp:alcie'),
    ]);
    const token = await issue(() => redis, { username: 'ci' });
    const issued = await operator.run(['block', '--token', '--for', '1h'], token);
    expect([issued.code, issued.stderr]).toEqual([0, '']);
    expect(await ask(token)).toEqual([refused]);
  });
});
