import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from './testing/folder.ts';
import { configText, startGateway } from './testing/gateway.ts';
import { operatorIn } from './testing/redis-commands.ts';
import { staticAuthenticator, tokensFile } from './testing/static-tokens.ts';
import { randomToken } from './testing/tokens.ts';

test('check and serve refuse an authenticator that can log no one in, and sessions that no one can issue', async () => {
  const login = {
    listen: '127.0.0.1:0',
    publicUrl: 'https://login.example.com',
    authenticators: ['static'],
    sessions: 'sessions',
  };
  const sessions = { name: 'sessions', use: 'redis', options: { url: 'redis://127.0.0.1:1' } };
  const files = { 'tokens.yaml': tokensFile({ [randomToken()]: 'ci' }) };
  const authenticators = [{ ...staticAuthenticator, name: 'static' }, sessions];
  const start = (config: object) => startGateway({ config: { ...config }, files });
  await expect(start({ authenticators, login })).rejects.toThrow(
    /static.*can't log anyone in.*has no loginToken and no revalidate/s,
  );
  const other = { ...login, authenticators: ['other'], sessions: 'static' };
  await expect(start({ authenticators, login: other })).rejects.toThrow(
    /login.authenticators\[0\]: "other" is no authenticator.*login.sessions: authenticator static .* issues no tokens/s,
  );
  const folder = await temporaryFolder('login-config');
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries({ ...files, 'gateway.yaml': configText({ authenticators, login }) })) {
    await writeFile(join(folder, name), content, { mode: 0o600 });
  }
  const checked = await operatorIn(folder).run(['check']);
  expect(checked.code).toBe(1);
  expect(checked.stdout).toMatch(/authenticator static +fault .*has no loginToken and no revalidate/);
});
