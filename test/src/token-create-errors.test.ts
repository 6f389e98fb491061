import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { waitFor, waitForPromise } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { codeFolder, gatewayFolder, spawnCommand } from './testing/command.ts';
import { collectOutput } from './testing/output.ts';
import { createPlace } from './testing/token-place.ts';
import { randomToken } from './testing/tokens.ts';

describe.concurrent('token create', () => {
  const create = ['create', '--user', 'jane', '--ttl', '8h'];

  test('an issuer’s error is reported in its own words, with its place, and the issuer is closed', async () => {
    const { run, config, calls } = await createPlace({ options: { fails: 'create' } });
    const { code, stdout, stderr } = await run(create);
    expect([code, stdout, await calls()]).toEqual([1, '', 'closed\n']);
    expect(stderr).toContain(`sallyport: ${config}:`);
    expect(stderr).toMatch(
      /: authenticators\[0\]: authenticator robots \(.*\) could not make the token: the store is away: start it\n$/,
    );
  });

  test('an error that quotes a secret of the options is withheld', async () => {
    const { run } = await createPlace({
      options: {
        fails: 'create',
        message: 'the password PASSWORD is wrong',
        password: { env: 'PASSWORD' },
      },
      env: { PASSWORD: randomToken() },
    });
    const { code, stderr } = await run(create);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /could not make the token: the plugin's message is hidden because it contains a secret\n$/,
    );
  });

  test('SIGTERM ends it immediately, and it says that a token may be left', async () => {
    const { setup, calls } = await createPlace({ options: { hangs: 'create' } });
    const child = spawnCommand(['token', ...create], setup);
    const ended = new Promise((resolve) => child.once('close', resolve));
    if (!child.stdout || !child.stderr) throw new Error('no output');
    const output = collectOutput(child.stdout, child.stderr);
    await waitFor(async () => (await calls()) === 'hangs\n', 'the call');
    child.kill('SIGTERM');
    expect(await waitForPromise(ended, 'the end')).toBe(1);
    expect(output.text()).toMatch(
      / might have made the token: interrupted\n {2}fix: to see whether it did, run: npx -y pnpm@10 sallyport token list --user jane --config \S+\n$/,
    );
    expect(await calls()).toBe('hangs\nclosed\n');
  });

  test('a token that can’t be printed is no success', async () => {
    const { setup } = await createPlace();
    const command = `exec '${process.execPath}' '${join(gatewayFolder, codeFolder, 'sallyport.js')}' token ${create.join(' ')} > /dev/full`;
    const child = spawn('sh', ['-c', command], { ...setup, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    expect(
      await waitForPromise(new Promise((resolve) => child.once('close', resolve)), 'the end'),
    ).toBe(1);
    expect(stderr).toContain("sallyport: standard output can't be written: ENOSPC");
    expect(stderr).toContain('\nTo revoke it: ');
  });
});
