import { staticAuthenticator } from '@sallyport/test-servers/static-tokens';
import { randomToken, secret, sha256 } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import { createPlace, issuing } from './testing/token-place.ts';
import { record, recordsOfJaneAndBob } from './testing/token-records.ts';

describe('revoke without cache.redis', () => {
  const tokens = recordsOfJaneAndBob();
  const ofCaches = [
    'Without cache.redis no replica forgets what it has cached. This config caches nothing of it.',
    'kube-apiserver can accept answers from its own cache for up to 2m10s,',
    'or 40s with --authentication-token-webhook-cache-ttl=30s, as init prints it.',
    'Open connections (exec, logs -f, watch) continue.',
    '',
  ];

  test('--user revokes all of that user, and no one else’s', async () => {
    const { revoke, stored, calls } = await createPlace({ tokens });
    const { code, stdout, stderr } = await revoke([
      '--user',
      'robot:jane',
      '--reason',
      'left',
      '--by',
      'zoë',
    ]);
    expect([code, stderr, await calls()]).toEqual([0, '', 'closed\n']);
    expect(stdout.split('\n')).toEqual([
      'revoked abcdef001100  robot:jane  (issued 5d ago by ops)',
      'cc0000000000  robot:jane  was revoked already at 2026-01-01T00:00:00Z by sec',
      '1 token revoked, 1 revoked already.',
      ...ofCaches,
    ]);
    expect((await stored()).map(({ revoked }) => revoked)).toEqual([
      { at: expect.any(String), by: 'zoë', reason: 'left' },
      undefined,
      { at: '2026-01-01T00:00:00.000Z', by: 'sec' },
    ]);
  });

  test('--token takes it from standard input, and stores by whom: the person behind sudo', async () => {
    const token = randomToken();
    const { revoke, stored } = await createPlace({
      tokens: [record(sha256(token))],
      environment: { SUDO_USER: 'zoë' },
    });
    const { code, stdout } = await revoke(['--token'], `${token}\n`);
    expect([code, stdout.split('\n')[1]]).toEqual([0, '1 token revoked.']);
    expect((await stored())[0]?.revoked).toEqual({ at: expect.any(String), by: 'zoë' });
  });

  test.each([
    { name: 'its first digits', digest: 'ABCDEF0022' },
    { name: 'the whole', digest: 'abcdef0022'.padEnd(64, '0') },
  ])('--digest takes $name', async ({ digest }) => {
    const { revoke, stored } = await createPlace({ tokens });
    const { code, stdout } = await revoke(['--digest', digest]);
    expect([code, stdout.split('\n')[0]]).toEqual([
      0,
      expect.stringMatching(/^revoked abcdef002200 {2}robot:bob {2}\(issued \d+m ago by ops\)$/),
    ]);
    expect((await stored()).map(({ revoked }) => revoked !== undefined)).toEqual([
      false,
      true,
      true,
    ]);
  });

  test('first digits of several are wrong usage, and revoke nothing', async () => {
    const { revoke, stored } = await createPlace({ tokens });
    const { code, stdout, stderr } = await revoke(['--digest', 'abcdef00']);
    expect([code, stdout, await stored()]).toEqual([2, '', tokens]);
    expect(stderr).toBe(
      'sallyport: --digest abcdef00 is the beginning of several digests\n  fix: give more digits of one of these:\n' +
        '    abcdef001100  robot:jane\n    abcdef002200  robot:bob\n',
    );
  });

  test('of many, ten are listed, with as many digits as needed to see the difference', async () => {
    const many = Array.from({ length: 12 }, (_, index) => record(`abcdef012345${10 + index}`));
    const { revoke } = await createPlace({ tokens: many });
    const { code, stderr } = await revoke(['--digest', 'abcdef012345']);
    expect([code, stderr.split('\n').length]).toEqual([2, 14]);
    expect(stderr).toContain(`    ${many[9]?.digest}  robot:jane\n    and 2 more\n`);
  });

  test.each([
    { claims: { iss: 'https://ci.example.com', jti: 'abc' }, words: '--jti abc' },
    { claims: { iss: 'https://ci.example.com' }, words: '--token' },
  ])('says how to refuse a JWT with $claims', async ({ claims, words }) => {
    const { revoke } = await createPlace({ tokens });
    const encode = (text: string) => Buffer.from(text).toString('base64url');
    const payload = encode(JSON.stringify({ ...claims, nonce: randomToken() }));
    const token = secret(`${encode('{"alg":"RS256"}')}.${payload}.${encode(randomToken())}`);
    const { code, stderr } = await revoke(['--token'], token);
    expect(code).toBe(3);
    expect(stderr).toMatch(
      new RegExp(
        `\n {2}fix: only its issuer can revoke a JWT\\. To refuse it here, run: sallyport block ${words} --for 8h --config \\S+\n$`,
      ),
    );
  });

  test.each([
    {
      name: 'a token',
      options: ['--token'],
      message: (digest: string) => `token ${digest.slice(0, 12)} was issued by`,
    },
    {
      name: 'a user',
      options: ['--user', 'robot:ann'],
      message: () => 'token of user robot:ann was issued by',
    },
    {
      name: 'first digits',
      options: ['--digest', 'DEADBEEF'],
      message: () => 'token deadbeef was issued by',
    },
    {
      name: 'a digest',
      options: ['--digest', 'd'.repeat(64)],
      message: () => `token ${'d'.repeat(12)} was issued by`,
    },
    {
      name: 'a user in JSON',
      options: ['--user', 'robot:ann', '-o', 'json'],
      message: () => 'token of user robot:ann was issued by',
    },
    {
      name: 'first digits in JSON',
      options: ['--digest', 'DEADBEEF', '-o', 'json'],
      message: () => 'token deadbeef was issued by',
    },
  ])('reports that it found nothing by $name, and exits 3', async ({ name, options, message }) => {
    const { revoke, stored } = await createPlace({ tokens });
    const token = randomToken();
    const { code, stdout, stderr } = await revoke(options, token);
    expect(code).toBe(3);
    expect(stderr).toMatch(
      new RegExp(
        `sallyport: no ${message(sha256(token))} authenticator robots\n {2}fix: list all: sallyport token list --config \\S+\n$`,
      ),
    );
    if (!name.endsWith('JSON')) expect(stdout).toMatch(/^0 tokens revoked\.\n/);
    else
      expect(JSON.parse(stdout)).toEqual({
        revoked: [],
        already: [],
        unreadable: [],
        problems: [],
      });
    expect(await stored()).toEqual(tokens);
  });

  test('a user whose tokens are all revoked already is said, and exits 3; a token is not', async () => {
    const { revoke } = await createPlace({ tokens: tokens.slice(2) });
    const ofUser = await revoke(['--user', 'robot:jane']);
    expect([ofUser.code, ofUser.stderr]).toEqual([3, '']);
    expect(ofUser.stdout).toMatch(
      /^cc0000000000 {2}robot:jane {2}was revoked already .*\n0 tokens revoked, 1 revoked already\.\n/,
    );
    expect(await revoke(['--digest', 'cc000000'])).toMatchObject({ code: 0, stderr: '' });
  });

  test('a user whose tokens are all revoked already, and whom an authenticator knows, exits 0', async () => {
    const username = { prefix: 'robot:' };
    const { revoke } = await createPlace({
      authenticators: [issuing('issuer', { username }), { ...staticAuthenticator, username }],
      tokens: tokens.slice(2).map((token) => ({ ...token, user: { username: 'ci' } })),
    });
    const { code, stdout, stderr } = await revoke(['--user', 'robot:ci']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('\n0 tokens revoked, 1 revoked already.\n');
  });

  test('--authenticator must be one whose users have that prefix', async () => {
    const authenticators = [
      issuing('corp', { username: { prefix: 'corp:' } }),
      issuing('robots', { username: { prefix: 'robot:' } }),
    ];
    const { revoke, stored } = await createPlace({ authenticators, tokens });
    const { code, stdout, stderr } = await revoke([
      '--user',
      'corp:bob',
      '--authenticator',
      'robots',
    ]);
    expect([code, stdout, await stored()]).toEqual([2, '', tokens]);
    expect(stderr).toBe(
      'sallyport: users of authenticator robots begin with "robot:"\n  fix: correct --user or --authenticator\n',
    );
  });

  test('a name without a prefix is refused with those that may be meant, even next to a break-glass authenticator', async () => {
    const breakGlass = { ...staticAuthenticator, name: 'break-glass', username: { prefix: '' } };
    const robots = issuing('robots', { username: { prefix: 'robot:' } });
    const { revoke, stored, calls } = await createPlace({
      authenticators: [breakGlass, robots],
      tokens,
    });
    const refused = await revoke(['--user', 'jane']);
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toMatch(
      /^sallyport: nothing was done: --user jane .*\n {2}fix: write one of these:\n {4}--user robot:jane +# known: robots\n {4}--user jane --exact +# not known: break-glass\n$/,
    );
    // Its tokens were listed, to see whether it knows the name, and no more.
    expect([await stored(), await calls()]).toEqual([tokens, 'closed\n']);
    const exact = await revoke(['--user', 'jane', '--exact']);
    expect(exact).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/^0 tokens revoked\.\n/),
    });
  });

  test.each([
    {
      options: [],
      message:
        'it is not clear what to revoke\n  fix: write exactly one of: --user NAME, --token (which is read from standard input), --digest DIGITS, --all',
    },
    {
      options: ['--token'],
      message:
        'no token on standard input\n  fix: type it at a terminal, or pipe it from a file: sallyport revoke --token < FILE\n',
    },
    {
      options: ['--token'],
      input: 'apiVersion: v1\nusers: []\n',
      message:
        'standard input has several lines, as a kubeconfig, and a token is one line\n  fix: pipe the value of token: alone\n',
    },
    {
      options: ['--token'],
      input: 'apiVersion: v1\nusers: [{ user: { exec: { command: kubectl-sallyport } } }]\n',
      message:
        'standard input has several lines, as a kubeconfig, and a token is one line\n  fix: run: kubectl sallyport token | jq -r .status.token | sallyport revoke --token\n',
    },
    {
      options: ['--token'],
      input: 'Bearer some-token-of-20-chars\n',
      message:
        'nothing was done: the token begins with Bearer or Authorization, a word of the header\n  fix: leave it out\n',
    },
    {
      options: ['--token'],
      input: '{"status":{"token":"some-token-of-20-chars"}}\n',
      message:
        'nothing was done: the token is in a JSON object or a form\n  fix: pipe its value alone\n',
    },
    {
      options: ['--token'],
      input: '  token: some-token-of-20-chars\n',
      message:
        'standard input begins with token:, which is a key of YAML and not part of a token\n  fix: pipe the value of token: alone\n',
    },
    {
      options: ['--token'],
      input: 'first\nsecond\n',
      message:
        'standard input has several lines, and a token is one line\n  fix: pipe the token alone\n',
    },
  ])('$options is wrong usage, and revokes nothing', async ({ options, input, message }) => {
    const { revoke, stored, calls } = await createPlace({ tokens });
    const { code, stdout, stderr } = await revoke(options, input);
    expect([code, stdout, await stored(), await calls()]).toEqual([2, '', tokens, '']);
    expect(stderr.startsWith(`sallyport: ${message}`)).toBe(true);
  });

  test('-o json prints the same in lists', async () => {
    const { revoke } = await createPlace({
      tokens: [...tokens, record('ee', 'x', { problem: 'broken' })],
    });
    const { code, stdout } = await revoke(['--user', 'robot:jane', '--by', 'zoë', '-o', 'json']);
    expect([code, JSON.parse(stdout)]).toEqual([
      1,
      {
        revoked: [
          {
            authenticator: 'robots',
            digest: tokens[0]?.digest,
            state: 'revoked',
            user: { username: 'robot:jane' },
            record: { username: 'jane' },
            issuedAt: tokens[0]?.issuedAt,
            issuedBy: 'ops',
            revoked: { at: expect.stringMatching(/Z$/), by: 'zoë' },
          },
        ],
        already: [
          expect.objectContaining({ digest: tokens[2]?.digest, revoked: tokens[2]?.revoked }),
        ],
        unreadable: [{ authenticator: 'robots', digest: 'ee'.padEnd(64, '0'), problem: 'broken' }],
        problems: [],
      },
    ]);
  });
});
