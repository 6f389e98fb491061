import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { findLeaks } from '@sallyport/test-servers/leaks';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, secretsInUse } from '@sallyport/test-servers/tokens';
import { waitFor, waitForPromise } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { codeFolder, gatewayFolder } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';

// `script` of util-linux gives the gateway a terminal.
test('on a terminal the log is for reading, and holds no token', async () => {
  const [known, unknown] = [randomToken(), randomToken()];
  const files = { 'tokens.yaml': tokensFile({ [known]: 'ada' }) };
  const folder = await configFolder({ authenticators: [staticAuthenticator] }, files);
  const command = `exec '${process.execPath}' '${join(gatewayFolder, codeFolder, 'sallyport.js')}' serve --config gateway.yaml`;
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));

  await waitFor(() => /url: .*http:/.test(text), 'the line that says where it listens');
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0] ?? '';
  {
    using client = http1Client(url);
    expect(await review(client, known)).toMatchObject({ authenticated: true });
    expect(await review(client, unknown)).toEqual({ authenticated: false });
  }
  // This is Ctrl-C at the terminal.
  child.stdin.write('\u0003');
  expect(await waitForPromise(ended, 'the end')).toBe(0);
  expect(text).toMatch(/INFO.*: .*listening/);
  expect(text).toMatch(/DEBUG.*: .*token review/);
  expect(text).toContain('shut down');
  expect(text).not.toContain('{"level"');
  expect(findLeaks(text, secretsInUse())).toEqual([]);
});
