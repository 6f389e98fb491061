import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { startRedis } from '@sallyport/test-servers/redis';
import { describe, expect, test } from 'vitest';
import { sealingKey, startCacheGateway } from './testing/cache-gateway.ts';
import { runCommand } from './testing/command.ts';
import { temporaryFolder } from './testing/folder.ts';
import { configText } from './testing/gateway.ts';
import { ldapToken, startPeople } from './testing/ldap-gateway.ts';
import { tokensFile } from './testing/static-tokens.ts';
import { randomToken } from './testing/tokens.ts';

/** A folder with a gateway.yaml, for commands. */
async function place(config: object, files: Readonly<Record<string, string>>) {
  const folder = await temporaryFolder('explain');
  for (const [name, content] of Object.entries({ ...files, 'gateway.yaml': configText({ ...config }) })) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content, { mode: 0o600 });
  }
  const env = { SALLYPORT_CONFIG: join(folder, 'gateway.yaml') };
  return (words: readonly string[], input = '') => runCommand(words, { cwd: folder, env }, input);
}

describe.concurrent('explain', () => {
  test('shows the groups of the backend, those left out, the final ones, and the searches that ran', async () => {
    await using people = await startPeople();
    const run = await place({ authenticators: [people.authenticator()] }, people.files);
    const { suffix } = people.slapd;
    const json = await run(['explain', '-o', 'json'], people.alice.token);
    expect(json).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(json.stdout)).toMatchObject({
      groups: [
        {
          ...{ authenticator: 'corp', username: 'corp:alice' },
          ...{ backend: ['k8s-admins', 'operators'], leftOut: ['operators'], final: ['corp:k8s-admins'] },
        },
      ],
      steps: [
        `user search below "ou=people,${suffix}" (scope sub), filter (uid=alice): 1 entry`,
        `the entry of the user is "${people.alice.dn}"`,
        `group search below "ou=groups,${suffix}" (scope sub), filter (member=${people.alice.dn}): 1 entry`,
        `group search, level 2 below "ou=groups,${suffix}" (scope sub), filter (member=cn=operators,ou=groups,${suffix}): 1 entry`,
        `group search, level 3 below "ou=groups,${suffix}" (scope sub), filter (member=cn=k8s-admins,ou=groups,${suffix}): 0 entries`,
      ].map((step) => ({ authenticator: 'corp', step })),
    });
    const text = await run(['explain'], people.alice.token);
    expect(text.stdout).toMatch(/GROUPS of corp:alice, from authenticator corp\nBACKEND +KUBERNETES\n/);
    expect(text.stdout).toMatch(/k8s-admins +corp:k8s-admins\noperators +left out by groups\.allow\n/);
    expect(text.stdout).toContain('\nSTEPS\ncorp: user search below');
    expect((await run(['explain'], people.bob.token)).stdout).toContain('none: the backend names none');
  });

  test('shows values of a filter escaped, as they were sent', async () => {
    await using people = await startPeople();
    const run = await place({ authenticators: [people.authenticator()] }, people.files);
    const { code, stdout } = await run(['explain', '-o', 'json'], ldapToken('a*)(uid=\u00e9\\', randomToken()));
    expect(code).toBe(3);
    expect(JSON.parse(stdout).steps).toEqual([
      { authenticator: 'corp', step: expect.stringContaining('filter (uid=a\\2a\\29\\28uid=é\\5c): 0 entries') },
    ]);
  });

  test('of a user needs no token: who knows the name, groups by source, blocked and locked out in the running fleet', async () => {
    await using people = await startPeople();
    await using redis = await startRedis();
    const token = randomToken();
    const robots = {
      name: 'robots',
      use: 'static',
      username: { prefix: 'robot:' },
      options: { tokensFile: 'tokens.yaml' },
    };
    await using replica = await startCacheGateway({
      authenticators: [people.authenticator(), robots],
      files: { ...people.files, 'tokens.yaml': tokensFile({ [token]: 'ci' }) },
      redis: { url: redis.url },
      keys: [sealingKey()],
    });
    const { folder } = replica.gateway;
    const run = (...words: readonly string[]) =>
      runCommand([...words, '--config', join(folder, 'gateway.yaml')], { cwd: folder });
    const json = async (name: string) => {
      const { code, stdout } = await run('explain', '--user', name, '-o', 'json');
      return { code, ...JSON.parse(stdout) };
    };
    expect(await replica.ask(ldapToken('alice', randomToken()))).toEqual({ authenticated: false });
    expect((await run('block', '--group', 'corp:k8s-admins', '--for', '1h')).code).toBe(0);
    expect(await json('corp:alice')).toMatchObject({
      code: 0,
      authenticators: [{ authenticator: 'corp', answer: 'known', reason: 'corp:alice', tokens: null }],
      groups: [{ authenticator: 'corp', leftOut: ['operators'], final: ['corp:k8s-admins'] }],
      blocked: { kind: 'group', name: 'corp:k8s-admins' },
      lockouts: [{ user: 'corp:alice', refused: 1, lockedOut: false }],
    });
    expect(await json('robot:ci')).toMatchObject({
      code: 0,
      authenticators: [{ authenticator: 'robots', answer: 'known' }],
      blocked: null,
      lockouts: [],
    });
    const text = await run('explain', '--user', 'corp:eve');
    expect([text.code, text.stderr]).toEqual([3, '']);
    expect(text.stdout).toMatch(/corp +not known\n/);
    expect(text.stdout).toMatch(/\nnot blocked\nnot locked out\n$/);
    // No bind beside that of the one login.
    expect((await people.slapd.operations()).bindsByDn.get(people.alice.dn)).toBe(1);
  });
});
