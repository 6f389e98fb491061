import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ldapToken, startPeople } from './testing/ldap-gateway.ts';
import { refused } from './testing/redis-gateway.ts';
import { issue } from './testing/redis-tokens.ts';
import { cachedRobots, replicasConfig, startReplicas } from './testing/replicas.ts';
import { randomToken, secret, sha256 } from './testing/tokens.ts';

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

describe('without a gateway', () => {
  beforeEach(async () => {
    // The Redis is not new, so that commands say nothing about that.
    await redis.client().set('sallyport:{revocations}:revision', 'begun');
  });

  const corp = {
    name: 'corp',
    use: 'ldap',
    username: { prefix: 'corp:' },
    options: {
      urls: ['ldaps://127.0.0.1:1'],
      bind: { dn: 'cn=sallyport', password: { file: 'secret' } },
      user: { base: 'dc=example,dc=com', filter: '(uid={username})' },
    },
  };
  const files = { secret: randomToken() };

  test('no server is asked whose token it is, and each user that it may be is named, quoted for a shell', async () => {
    const other = { ...corp, name: 'eu', username: { prefix: 'eu:' } };
    await using replicas = await startReplicas(0, replicasConfig([corp, other], redis.url), files);
    const words = ['block', '--token', '--for', '1h', '-o', 'json', '--config', 'gateway.yaml'];
    const { code, stdout, stderr } = await replicas.operator.run(
      words,
      ldapToken("o'neil $x", randomToken()),
    );
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('for authenticators corp, eu.');
    const commands = ['corp', 'eu'].map(
      (prefix) =>
        String.raw`    npx -y pnpm@10 sallyport block --user '${prefix}:o'\''neil $x' --for 8h --config gateway.yaml`,
    );
    expect(stderr.endsWith(`:\n${commands.join('\n')}\n`)).toBe(true);
  });

  test('a token that no authenticator can have is warned of, and blocked all the same', async () => {
    await using replicas = await startReplicas(
      0,
      replicasConfig([corp, cachedRobots(redis.url)], redis.url),
      files,
    );
    const token = randomToken();
    const { code, stderr } = await replicas.operator.run(
      ['block', '--token', '--for', '1h', '--expect', '0'],
      token,
    );
    expect([code, stderr]).toEqual([
      0,
      'sallyport: no authenticator of this config has tokens of this form: was the token cut or mistyped? The command continues\n',
    ]);
    expect(await replicas.operator.json('blocks')).toMatchObject({
      blocks: [{ kind: 'token', name: sha256(token) }],
    });
    const unblock = ['unblock', '--token', '--expect', '0'];
    expect(await replicas.operator.run(unblock, token)).toMatchObject({
      code: 0,
      stderr: '',
    });
  });

  test('nothing is done while an authenticator cannot say whose token it is', async () => {
    const broken = { ...corp, options: { ...corp.options, caFile: 'missing.crt' } };
    const config = replicasConfig([broken, cachedRobots(redis.url)], redis.url);
    await using replicas = await startReplicas(0, config, files);
    for (const words of [
      ['block', '--token', '--for', '1h'],
      ['revoke', '--token'],
    ]) {
      const { code, stdout, stderr } = await replicas.operator.run(words, randomToken());
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(
        /^sallyport: nothing was done: to (block|revoke) a token, each authenticator must say whether it contains a password, and one can't: .*authenticator corp .*missing\.crt can't be read: .*\n {2}fix: fix that, or name the user: npx -y pnpm@10 sallyport (block|revoke) --user NAME( --for 8h)? --config \S+\n$/,
      );
    }
    expect(await replicas.operator.json('blocks')).toMatchObject({ blocks: [] });
    const words = ['block', '--user', 'corp:jane', '--for', '1h', '--expect', '0'];
    const named = await replicas.operator.run(words);
    expect([named.code, named.stderr]).toEqual([
      0,
      expect.stringContaining(": corp can't be made. The command was run in any case"),
    ]);
  });
});
