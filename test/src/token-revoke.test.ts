import { describe, expect, test } from 'vitest';
import { createPlace } from './fixtures/token-place.ts';
import { record, recordsOfJaneAndBob } from './fixtures/token-records.ts';
import { randomToken, sha256 } from './fixtures/tokens.ts';

describe.concurrent('token revoke', () => {
  const tokens = recordsOfJaneAndBob();
  const ofCaches = [
    'Answers that a kube-apiserver has cached may pass until its own cache ends: 2 minutes and 10 s,',
    'unless its --authentication-token-webhook-cache-ttl is another than 2m.',
    'What is open already (exec, logs -f, watch) goes on.',
    '',
  ];

  test.each([['jane'], ['robot:jane']])('--user %s revokes all of that user, and nobody else’s', async (user) => {
    const { run, stored, calls } = await createPlace({ tokens });
    const { code, stdout, stderr } = await run(['revoke', '--user', user, '--reason', 'left', '--by', 'zoë']);
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

  test('says by whom: the person behind sudo', async () => {
    const { run, stored } = await createPlace({ tokens, env: { SUDO_USER: 'zoë' } });
    await run(['revoke', '--user', 'bob']);
    expect((await stored())[1]?.revoked).toEqual({ at: expect.any(String), by: 'zoë' });
  });

  test('--token takes it from standard input', async () => {
    const token = randomToken();
    const { run, stored } = await createPlace({ tokens: [record(sha256(token))] });
    const { code, stdout } = await run(['revoke', '--token'], `${token}\n`);
    expect([code, stdout.split('\n')[1]]).toEqual([0, '1 token revoked.']);
    expect((await stored())[0]).toHaveProperty('revoked');
  });

  test.each([
    ['its first digits', 'ABCDEF0022'],
    ['the whole', 'abcdef0022'.padEnd(64, '0')],
  ])('--digest takes %s', async (_name, digest) => {
    const { run, stored } = await createPlace({ tokens });
    const { code, stdout } = await run(['revoke', '--digest', digest]);
    expect([code, stdout.split('\n')[0]]).toEqual([
      0,
      expect.stringMatching(/^revoked abcdef002200 {2}robot:bob {2}\(issued \d+m ago by ops\)$/),
    ]);
    expect((await stored()).map(({ revoked }) => revoked !== undefined)).toEqual([false, true, true]);
  });

  test('first digits of several are wrong usage, and revoke nothing', async () => {
    const { run, stored } = await createPlace({ tokens });
    const { code, stdout, stderr } = await run(['revoke', '--digest', 'abcdef00']);
    expect([code, stdout, await stored()]).toEqual([2, '', tokens]);
    expect(stderr).toBe(
      'sallyport: --digest abcdef00 is the beginning of several, give more digits:\n' +
        '    abcdef001100  robot:jane\n    abcdef002200  robot:bob\n',
    );
  });

  test('of many, ten are told, with as many digits as tell them apart', async () => {
    const many = Array.from({ length: 12 }, (_, index) => record(`abcdef012345${10 + index}`));
    const { run } = await createPlace({ tokens: many });
    const { code, stderr } = await run(['revoke', '--digest', 'abcdef012345']);
    expect([code, stderr.split('\n').length]).toEqual([2, 13]);
    expect(stderr).toContain(`    ${many[9]?.digest}  robot:jane\n    and 2 more\n`);
  });

  test.each([
    ['a token', ['--token'], 'no such token'],
    ['a user', ['--user', 'ann'], 'no token of user robot:ann'],
    ['first digits', ['--digest', 'DEADBEEF'], 'no token whose digest begins with deadbeef'],
    ['a digest', ['--digest', 'd'.repeat(64)], `no token whose digest begins with ${'d'.repeat(64)}`],
  ])('%s that is not there exits 1', async (_name, what, message) => {
    const { run } = await createPlace({ tokens });
    const token = randomToken();
    const stderr = `sallyport: authenticator robots has ${message}\n`;
    expect(await run(['revoke', ...what], token)).toEqual({ code: 1, stdout: '', stderr });
    const json = await run(['revoke', '-o', 'json', ...what], token);
    expect(json).toMatchObject({ code: 1, stderr });
    expect(JSON.parse(json.stdout)).toEqual({ revoked: [], already: [], unreadable: [] });
  });

  test.each([
    [
      [],
      'say which tokens to revoke by one of these: --token (which is read from standard input), --digest DIGITS, --user NAME',
    ],
    [['--token', '--user', 'jane'], 'say which tokens to revoke by one of these'],
    [['--digest', 'abcdef0011', '--user', 'jane'], 'say which tokens to revoke by one of these'],
    [['--digest', 'abcdef0'], '--digest has 7 digits: give at least the first 8 of 64'],
    [['--digest', 'not-hex-at-all'], '--digest has a character that is no hexadecimal digit'],
    [['--user', ''], '--user is empty'],
    [['--user', 'robot:'], '--user is the prefix alone'],
    [['--user', 'jane', '--reason', ''], '--reason is empty'],
    [['--user', 'jane', '--by', ''], '--by is empty'],
    [['--token'], 'no token on standard input'],
  ])('%j is wrong usage, and revokes nothing', async (what, message) => {
    const { run, stored, calls } = await createPlace({ tokens });
    const { code, stdout, stderr } = await run(['revoke', ...what]);
    expect([code, stdout, await stored(), await calls()]).toEqual([2, '', tokens, '']);
    expect(stderr.startsWith(`sallyport: ${message}`)).toBe(true);
  });

  test('-o json tells the same in three lists', async () => {
    const { run } = await createPlace({ tokens: [...tokens, record('ee', 'x', { fault: 'broken' })] });
    const { code, stdout } = await run(['revoke', '--user', 'jane', '--by', 'zoë', '-o', 'json']);
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
        already: [expect.objectContaining({ digest: tokens[2]?.digest, revoked: tokens[2]?.revoked })],
        unreadable: [{ digest: 'ee'.padEnd(64, '0'), fault: 'broken' }],
      },
    ]);
  });
});
