import { staticAuthenticator } from '@sallyport/test-servers/static-tokens';
import { describe, expect, test } from 'vitest';
import type { StoredToken } from './testing/issuer-plugin.ts';
import { createPlace, issuing } from './testing/token-place.ts';
import { inHours, record } from './testing/token-records.ts';

describe('token list', () => {
  // Each test makes them, since it looks at their ages.
  const makeTokens = (): StoredToken[] => [
    record('a1', 'old', { issuedAt: inHours(-24 * 5 - 3.1), expiresAt: inHours(-2.1) }),
    record('a2', 'new', {
      user: { username: 'new', groups: ['dev', 'ops'] },
      issuedAt: inHours(-0.505),
    }),
    record('a3', 'later', {
      notBefore: inHours(1),
      expiresAt: inHours(24 * 8.1),
      issuedAt: inHours(-2.005),
    }),
    record('a4', 'gone', {
      issuedAt: inHours(-3.1),
      revoked: { at: inHours(-1), by: 'ops', reason: 'left' },
    }),
    record('a5', 'ci:x', { issuedAt: inHours(-4.1) }),
    record('b1', 'x', { problem: 'user.username is not a string' }),
    record('a6', 'timeless', { issuedAt: undefined, issuedBy: undefined } as object),
  ];
  const authenticators = (options = {}): object[] => [
    issuing(
      'robots',
      { username: { prefix: 'robot:' }, groups: { prefix: 'robot:', allow: ['dev'] } },
      options,
    ),
    { ...staticAuthenticator, name: 'ci', username: { prefix: 'robot:ci:' } },
  ];

  test('prints a table: names as Kubernetes sees them, the newest first, what can’t be read last', async () => {
    const { run } = await createPlace({ authenticators: authenticators(), tokens: makeTokens() });
    const { code, stdout, stderr } = await run(['list']);
    expect([code, stdout.split('\n').map((line) => line.split(/ {3,}/))]).toEqual([
      0,
      [
        ['DIGEST', 'USER', 'GROUPS', 'AGE', 'EXPIRES', 'STATE', 'BY', 'REASON'],
        ['a20000000000', 'robot:new', 'robot:dev', '30m', 'never', 'good', 'ops'],
        ['a30000000000', 'robot:later', '2h', '8d2h', 'not yet valid', 'ops'],
        ['a40000000000', 'robot:gone', '3h6m', 'never', 'revoked', 'ops'],
        ['a50000000000', 'robot:ci:x', '4h6m', 'never', 'refused by policy', 'ops'],
        ['a10000000000', 'robot:old', '5d3h', '2h6m ago', 'expired', 'ops'],
        ['a60000000000', 'robot:timeless', 'never', 'good'],
        ['b10000000000', 'unreadable: user.username is not a string'],
        [''],
      ],
    ]);
    expect(stderr).toBe(
      'sallyport: 1 record is unreadable and authenticates no one\n  fix: fix or delete what is stored there\n',
    );
  });

  test('-o json has whole digests, both names and ISO times', async () => {
    const tokens = makeTokens();
    const { run } = await createPlace({ authenticators: authenticators(), tokens });
    const { code, stdout, stderr } = await run(['list', '-o', 'json']);
    expect([code, stderr]).toEqual([0, expect.stringContaining('1 record is unreadable')]);
    const listed = JSON.parse(stdout);
    expect(listed.unreadable).toEqual([
      { digest: tokens[5]?.digest, problem: 'user.username is not a string' },
    ]);
    expect(listed.tokens.map(({ state }: { state: string }) => state)).toEqual([
      'good',
      'not yet valid',
      'revoked',
      'refused by policy',
      'expired',
      'good',
    ]);
    expect(listed.tokens[0]).toEqual({
      authenticator: 'robots',
      digest: tokens[1]?.digest,
      state: 'good',
      user: { username: 'robot:new', groups: ['robot:dev'] },
      record: { username: 'new', groups: ['dev', 'ops'] },
      issuedAt: tokens[1]?.issuedAt,
      issuedBy: 'ops',
    });
    expect(listed.tokens[2].revoked).toEqual(tokens[3]?.revoked);
    expect(listed.tokens[3].violation).toEqual({
      rule: 'the prefix robot:ci: belongs to another authenticator',
      name: 'robot:ci:x',
    });
  });

  test('shows the last use where it is tracked', async () => {
    const used = [
      record('a1', 'a', { issuedAt: inHours(-1.1), lastUsedAt: inHours(-0.205) }),
      record('a2', 'b', { issuedAt: inHours(-2.1), lastUsedAt: null }),
      record('a3', 'c', { issuedAt: inHours(-3.1) }),
    ];
    const { run } = await createPlace({ tokens: used });
    const lines = (await run(['list'])).stdout
      .split('\n')
      .map((line) => line.split(/ {3,}/).slice(-4));
    expect(lines.slice(0, 4)).toEqual([
      ['LAST USE', 'STATE', 'BY', 'REASON'],
      ['never', '12m ago', 'good', 'ops'],
      ['never', 'never', 'good', 'ops'],
      ['3h6m', 'never', 'good', 'ops'],
    ]);
  });

  test.each([
    { filter: ['--user', 'robot:new'], users: ['robot:new'] },
    { filter: ['--digest', 'A', '--user', 'old'], users: ['robot:old'] },
    { filter: ['--digest', 'A3'], users: ['robot:later'] },
  ])('$filter picks out $users', async ({ filter, users }) => {
    const { run } = await createPlace({ authenticators: authenticators(), tokens: makeTokens() });
    const { code, stdout } = await run(['list', '-o', 'json', ...filter]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).tokens.map(({ user }: StoredToken) => user.username)).toEqual(users);
  });

  test('an empty list is reported as such, and exits 3 where a user or a digest was asked for', async () => {
    const { run } = await createPlace();
    expect(await run(['list'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'sallyport: authenticator robots has no tokens\n',
    });
    expect(await run(['list', '--user', 'x'])).toEqual({
      code: 3,
      stdout: '',
      stderr: expect.stringMatching(
        /^sallyport: authenticator robots has no token of user robot:x\n {2}fix: list all: sallyport token list --authenticator robots --config \S+\n$/,
      ),
    });
    expect(await run(['list', '--digest', 'a', '-o', 'json'])).toEqual({
      code: 3,
      stdout: '{\n  "tokens": [],\n  "unreadable": []\n}\n',
      stderr: expect.stringMatching(
        /^sallyport: authenticator robots has no token with this digest\n {2}fix: list all: sallyport token list --authenticator robots --config \S+\n$/,
      ),
    });
    expect(await run(['list', '-o', 'json'])).toMatchObject({
      code: 0,
      stdout: '{\n  "tokens": [],\n  "unreadable": []\n}\n',
    });
  });

  test.each([
    {
      filter: ['--user', 'robot:'],
      message: '--user is only a prefix\n  fix: write --user robot:NAME',
    },
    {
      filter: ['--digest', ''],
      message:
        '--digest has 0 digits\n  fix: copy at least the first 1 of its 64 digits from token list or blocks',
    },
  ])('$filter is wrong usage', async ({ filter, message }) => {
    const { run, calls } = await createPlace();
    const { code, stdout, stderr } = await run(['list', ...filter]);
    expect([code, stdout, await calls()]).toEqual([2, '', '']);
    expect(stderr.startsWith(`sallyport: ${message}`)).toBe(true);
  });

  test('a listing that breaks off prints no part for the whole', async () => {
    const { run, calls } = await createPlace({
      authenticators: authenticators({ fails: 'list', after: 2 }),
      tokens: makeTokens(),
    });
    const { code, stdout, stderr } = await run(['list']);
    expect([code, stdout, await calls()]).toEqual([1, '', 'closed\n']);
    expect(stderr).toMatch(
      / could not list its tokens: the store is away: start it\n {2}fix: make its backend answer, and run the command again\. To see whether it answers, run: sallyport check --config \S+\n$/,
    );
  });

  test('what others wrote into a name can’t play tricks on the terminal', async () => {
    const evil = record('a1', 'x\u001b[2J\nb20000000000   root', { problem: undefined } as object);
    const { run } = await createPlace({
      tokens: [evil, record('a2', 'y', { problem: 'bad\u001b[31m' })],
    });
    const { stdout } = await run(['list']);
    expect(stdout).toContain(String.raw`robot:x\u{1b}[2J\u{a}b20000000000   root`);
    expect(stdout).not.toContain('\u001b');
    expect(stdout.split('\n').length).toBe(4);
  });
});
