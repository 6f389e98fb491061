import { staticAuthenticator } from '@sallyport/test-servers/static-tokens';
import { secret, sha256 } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import { createPlace, issuing } from './testing/token-place.ts';

describe('whose tokens', () => {
  const two = [
    issuing('ci', {}, { tokenPrefix: 'ci_' }),
    issuing('robots'),
    staticAuthenticator2('people'),
  ];

  function staticAuthenticator2(name: string): object {
    return { ...staticAuthenticator, name };
  }

  test('--authenticator picks one, and the way to revoke names it', async () => {
    const { run, revoke, config } = await createPlace({ authenticators: two });
    const { code, stdout, stderr } = await run([
      'create',
      '--authenticator',
      'ci',
      '--user',
      'jane',
      '--ttl',
      '1h',
    ]);
    expect([code, stdout.slice(0, 3)]).toEqual([0, 'ci_']);
    const digest = sha256(secret(stdout.trim())).slice(0, 12);
    const command = `revoke --digest ${digest} --authenticator ci --config ${config}`;
    expect(stderr).toContain(`\nTo revoke it: sallyport ${command}\n`);
    expect((await revoke(command.split(' ').slice(1))).stdout).toContain(
      `revoked ${digest}  jane  (issued `,
    );
  });

  test('a user with the prefix of another authenticator has a remark', async () => {
    const robots = { ...issuing('robots'), username: { prefix: 'robot:' } };
    const corp = { ...staticAuthenticator2('corp'), username: { prefix: 'corp:' } };
    const { run } = await createPlace({ authenticators: [robots, corp] });
    for (const [user, isOfCorp] of [
      ['corp:jane', true],
      ['jane', false],
    ] as const) {
      const { code, stderr } = await run(['create', '--user', user, '--ttl', '1h']);
      const remark = `, and not for the user ${user} of authenticator corp\n  fix: if that user is meant, revoke this token: `;
      expect([code, stderr.includes(remark)]).toEqual([0, isOfCorp]);
    }
  });

  test('an issuer that can’t be created is reported with its place and its own message', async () => {
    const { run, config, calls } = await createPlace({
      options: { fails: 'createTokenIssuer', message: 'no url' },
    });
    expect(await run(['list'])).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        new RegExp(
          `^sallyport: ${config}:\\d+:\\d+: authenticators\\[0\\]: authenticator robots \\(.*\\) can't issue tokens: no url\n$`,
        ),
      ),
    });
    expect(await calls()).toBe('');
  });
});
