import { describe, expect, test } from 'vitest';
import { type CommandResult, runCommand } from './testing/command.ts';
import { staticAuthenticator } from './testing/static-tokens.ts';
import { createPlace, issuing } from './testing/token-place.ts';
import { secret, sha256 } from './testing/tokens.ts';

describe.concurrent('whose tokens', () => {
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
    expect(stderr).toContain(`\nTo revoke it: npx -y pnpm@10 sallyport ${command}\n`);
    expect((await revoke(command.split(' ').slice(1))).stdout).toContain(
      `revoked ${digest}  jane  (issued `,
    );
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

describe.concurrent('sallyport check', () => {
  const check = async (...prefixes: (string | undefined)[]): Promise<CommandResult> => {
    const authenticators = prefixes.map((tokenPrefix, index) =>
      issuing(
        ['ci', 'robots', 'people'][index] ?? '',
        {},
        tokenPrefix === undefined ? {} : { tokenPrefix },
      ),
    );
    const { setup } = await createPlace({ authenticators });
    return runCommand(['check', '-o', 'json'], setup);
  };

  test('warns of tokens that are taken for those of another authenticator', async () => {
    const { code, stdout } = await check('slp_', 'slp_ci_');
    expect(code).toBe(0);
    expect(JSON.parse(stdout).findings.slice(-3)).toEqual([
      expect.objectContaining({ check: 'authenticator ci', result: 'ok' }),
      expect.objectContaining({ check: 'authenticator robots', result: 'ok' }),
      {
        check: 'token prefixes',
        result: 'warning',
        detail: expect.stringMatching(
          /^ci and robots: their tokens begin with slp_ and slp_ci_, .*for nothing.*robots is never asked: give each a tokenPrefix of its own$/,
        ),
      },
    ]);
  });
});
