import { staticAuthenticator } from '@sallyport/test-servers/static-tokens';
import { describe, expect, test } from 'vitest';
import { createPlace, issuing } from './testing/token-place.ts';

describe('token create', () => {
  test.each([
    {
      name: 'a system: group',
      policy: { groups: { prefix: '' } },
      user: ['--user', 'jane', '--group', 'system:masters'],
      rule: 'a system: name is not in allowSystemNames: system:masters',
    },
    {
      name: "a name of another's",
      policy: {},
      user: ['--user', 'ci:jane'],
      rule: 'the prefix robot:ci: belongs to another authenticator: robot:ci:jane',
    },
    {
      name: 'too many groups',
      policy: { groups: { max: 1 } },
      user: ['--user', 'jane', '--group', 'a', '--group', 'b'],
      rule: '2 groups, over groups.max 1',
    },
    {
      name: 'a mark of direction',
      policy: {},
      user: ['--user', 'jane\u202e'],
      rule: String.raw`the username has a control character, a line end or a mark that turns the direction of writing: robot:jane\u{202e}`,
    },
  ])('refuses $name, which each use would be refused for', async ({ policy, user, rule }) => {
    const authenticators = [
      issuing('robots', { username: { prefix: 'robot:' }, ...policy }),
      { ...staticAuthenticator, name: 'ci', username: { prefix: 'robot:ci:' } },
    ];
    const { run, config, stored, calls } = await createPlace({ authenticators });
    const { code, stdout, stderr } = await run(['create', ...user, '--ttl', '8h']);
    expect([code, stdout, await stored(), await calls()]).toEqual([1, '', [], '']);
    expect(stderr).toBe(
      `sallyport: no token was made, since each use of it would be refused: ${rule}\n  fix: ` +
        `give other names, or change what ${config} allows authenticator robots\n`,
    );
  });

  test('without prefixes names stay as they are, and allowed system: names pass', async () => {
    const { run } = await createPlace({
      authenticators: [issuing('robots', { allowSystemNames: ['system:masters'] })],
    });
    const names = ['--user', 'robot:jane', '--group', 'system:masters'];
    const { code, stdout } = await run(['create', ...names, '--ttl', '8h', '-o', 'json']);
    expect([code, JSON.parse(stdout).user]).toEqual([
      0,
      { username: 'robot:jane', groups: ['system:masters'] },
    ]);
  });

  test('warns of groups that groups.allow leaves out', async () => {
    const { run, stored } = await createPlace({ authenticator: { groups: { allow: ['dev*'] } } });
    const { code, stderr } = await run([
      'create',
      '--user',
      'jane',
      '--ttl',
      '8h',
      '--group',
      'dev-a',
      '--group',
      'qa',
      '--group',
      'ops',
    ]);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^sallyport: groups\.allow of authenticator robots does not include qa, ops, so Kubernetes will not see them in the token\n/,
    );
    expect(stderr).toContain('\n  groups     dev-a\n');
    expect((await stored())[0]?.user.groups).toEqual(['dev-a', 'qa', 'ops']);
  });

  test('says that the groups of a directory replace those of the token', async () => {
    const authenticators = [
      issuing('robots', { directory: { authenticator: 'corp' } }),
      { ...staticAuthenticator, name: 'corp' },
    ];
    const { run } = await createPlace({ authenticators });
    const words = ['create', '--user', 'jane', '--group', 'qa', '--group', 'ops', '--ttl', '8h'];
    const { code, stderr } = await run(words);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^sallyport: Kubernetes will not see qa, ops in the token, since authenticator robots gives its users the groups of corp\n/,
    );
    expect(stderr).not.toContain('groups.allow');
  });
});
