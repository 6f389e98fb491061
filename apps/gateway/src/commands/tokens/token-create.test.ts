import { sha256 } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import { createPlace } from './testing/token-place.ts';

describe('token create', () => {
  const create = ['create', '--user', 'jane', '--ttl', '8h'];

  test('prints the token alone, and on standard error what it is, without it', async () => {
    const { run } = await createPlace({ options: { tokenPrefix: 'slp_' } });
    const { code, stdout, stderr } = await run([
      ...create,
      '--group',
      'dev',
      '--group',
      'ops',
      '--audience',
      'vault',
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^slp_[\w-]{32}\n$/);
    const token = stdout.trim();
    expect(stderr).not.toContain(token.slice(4));
    expect(stderr.split('\n')).toEqual([
      'The token is shown only once. As Kubernetes sees it:',
      '  user       robot:jane',
      '  groups     robot:dev, robot:ops',
      '  audiences  vault',
      expect.stringMatching(/^ {2}until {6}20\d\d-.*Z \(8h\)$/),
      `  digest     ${sha256(token).slice(0, 12)}`,
      expect.stringMatching(/^To revoke it: sallyport revoke --digest [0-9a-f]{12} --config \//),
      '',
    ]);
  });

  test('stores all that the options say of the token, and says when one that never ends begins to be good', async () => {
    const { run, stored } = await createPlace({ environment: { SUDO_USER: 'zoë' } });
    const times = ['--ttl', 'never', '--not-before', '2099-01-31T13:00:00+01:00'];
    const said = [
      '--uid',
      '7',
      '--extra',
      'team=a',
      '--extra',
      'team=b=c',
      '--extra',
      'x/y=z',
      '--reason',
      'a build',
    ];
    const { code, stderr } = await run(['create', '--user', 'jane', ...times, ...said]);
    expect(code).toBe(0);
    expect(stderr).toContain(
      '\n  groups     none\n  from       2099-01-31T12:00:00Z\n  until      never ends\n',
    );
    expect(await stored()).toEqual([
      {
        digest: expect.stringMatching(/^[0-9a-f]{64}$/),
        user: { username: 'jane', uid: '7', extra: { team: ['a', 'b=c'], 'x/y': ['z'] } },
        notBefore: '2099-01-31T12:00:00.000Z',
        issuedAt: expect.any(String),
        issuedBy: 'zoë',
        reason: 'a build',
      },
    ]);
  });

  test.each([
    { ttl: '900d', hasRemark: true },
    { ttl: '366d', hasRemark: false },
    { ttl: 'never', hasRemark: false },
  ])('--ttl $ttl has a remark: $hasRemark', async ({ ttl, hasRemark }) => {
    const { run } = await createPlace();
    const { code, stderr } = await run(['create', '--user', 'jane', '--ttl', ttl]);
    const remark =
      'sallyport: this token is valid for more than a year, for anyone who gets a copy of it\n  fix: if that is not meant, revoke it, and create one with a shorter --ttl, such as 90d\n';
    expect([code, stderr.includes(remark)]).toEqual([0, hasRemark]);
  });

  test.each([
    { group: 'deployers,viewers', hasRemark: true },
    { group: 'cn=deployers,ou=groups', hasRemark: false },
  ])('a group with a comma has a remark: $group, $hasRemark', async ({ group, hasRemark }) => {
    const { run } = await createPlace();
    const { code, stderr } = await run([...create, '--group', group]);
    const remark =
      'sallyport: deployers,viewers is one group, with a comma in its name\n  fix: if several groups are meant, drop this token, and write --group once per group\n';
    expect([code, stderr.includes(remark)]).toEqual([0, hasRemark]);
  });

  test.each([
    { audience: 'prod', hasRemark: true },
    { audience: 'https://prod.example.com', hasRemark: false },
  ])('an audience of no cluster has a remark: $audience', async ({ audience, hasRemark }) => {
    const apiAudiences = ['https://prod.example.com'];
    const { run } = await createPlace({ config: { server: { apiAudiences } } });
    const { code, stderr } = await run([...create, '--audience', audience]);
    const remark =
      'sallyport: the audiences of this token are none that this config names, so an API server might refuse it\n  fix: write --audience with what that API server asks for, such as https://prod.example.com\n';
    expect([code, stderr.includes(remark)]).toEqual([0, hasRemark]);
  });

  test('-o json prints all on standard output', async () => {
    const { run } = await createPlace();
    const said = ['--group', 'dev', '--reason', 'r', '--by', 'ops'];
    const { code, stdout, stderr } = await run([...create, ...said, '-o', 'json']);
    expect([code, stderr]).toEqual([0, '']);
    const json = JSON.parse(stdout);
    expect(json).toEqual({
      token: expect.any(String),
      authenticator: 'robots',
      digest: sha256(json.token),
      state: 'good',
      user: { username: 'robot:jane', groups: ['robot:dev'] },
      record: { username: 'jane', groups: ['dev'] },
      expiresAt: expect.stringMatching(/Z$/),
      issuedAt: expect.stringMatching(/Z$/),
      issuedBy: 'ops',
      reason: 'r',
    });
    expect(stdout.split(json.token).length).toBe(2);
  });

  test.each([
    {
      name: 'the prefix',
      options: ['--user', 'robot:jane', '--ttl', '8h'],
      message: '--user must not include the prefix robot:\n  fix: write --user jane',
    },
    {
      name: 'the prefix alone',
      options: ['--user', 'robot:', '--ttl', '8h'],
      message: '--user must not include the prefix robot:\n  fix: write --user NAME',
    },
    {
      name: 'a group with the prefix',
      options: ['--user', 'jane', '--ttl', '8h', '--group', 'robot:dev'],
      message: '--group must not include the prefix robot:\n  fix: write --group dev',
    },
  ])('$name is wrong usage, and makes nothing', async ({ options, message }) => {
    const { run, stored, calls } = await createPlace();
    const { code, stdout, stderr } = await run(['create', ...options]);
    expect([code, stdout, await stored(), await calls()]).toEqual([2, '', [], '']);
    expect(stderr.startsWith(`sallyport: ${message}`)).toBe(true);
  });

  test.each([
    { option: '--user <name>', words: ['--ttl', '8h'] },
    { option: '--ttl <duration>', words: ['--user', 'jane'] },
  ])('without $option is wrong usage', async ({ option, words }) => {
    const { code, stderr } = await (await createPlace()).run(['create', ...words]);
    expect([code, stderr]).toEqual([
      2,
      `error: required option '${option}' not specified\n  fix: write for example: sallyport token create --user jane --group dev --ttl 8h\n`,
    ]);
  });
});
