import { randomToken } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import { createPlace } from './testing/token-place.ts';

describe('token create', () => {
  const create = ['create', '--user', 'jane', '--ttl', '8h'];

  test('an issuer’s error is reported in its own words, with its place, and the issuer is closed', async () => {
    const { run, config, calls } = await createPlace({ options: { fails: 'create' } });
    const { code, stdout, stderr } = await run(create);
    expect([code, stdout, await calls()]).toEqual([1, '', 'closed\n']);
    expect(stderr).toContain(`sallyport: ${config}:`);
    expect(stderr).toMatch(
      /: authenticators\[0\]: authenticator robots \(.*\) could not make the token: the store is away: start it\n {2}fix: make its backend answer, and run the command again\. To see whether it answers, run: sallyport check --config \S+\n$/,
    );
  });

  test('an error that quotes a secret of the options is withheld', async () => {
    const { run } = await createPlace({
      options: {
        fails: 'create',
        message: 'the password PASSWORD is wrong',
        password: { env: 'PASSWORD' },
      },
      environment: { PASSWORD: randomToken() },
    });
    const { code, stderr } = await run(create);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /could not make the token: the plugin's message is hidden because it contains a secret\n {2}fix: make its backend answer, and run the command again\. To see whether it answers, run: sallyport check --config \S+\n$/,
    );
  });
});
