import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { startRedis } from '@sallyport/test-servers/redis';
import { expect, test } from 'vitest';
import { askLogin } from './testing/ask-login.ts';
import { commandsIn } from './testing/documents.ts';
import { temporaryFolder } from './testing/folder.ts';
import { startGateway } from './testing/gateway.ts';
import { loginUrlOf } from './testing/login-gateway.ts';
import { rootFolder } from './testing/pnpm.ts';
import { anyPort } from './testing/private-gateway.ts';
import { secret } from './testing/tokens.ts';

test('examples/login logs people in without a directory, and refuses a wrong password', async () => {
  const line = await commandsIn('docs/login.md', 'npx -y pnpm@10 sallyport serve');
  const example = join(rootFolder, dirname(/--config (\S+)/.exec(line)?.[1] ?? ''));
  await using redis = await startRedis();
  const folder = await temporaryFolder('login-example');
  await copyFile(join(example, 'people.mjs'), join(folder, 'people.mjs'));
  const config = (await readFile(join(example, 'gateway.yaml'), 'utf8'))
    .replace('redis://127.0.0.1:6379', redis.url)
    .replace('listen: 127.0.0.1:8444', 'listen: 127.0.0.1:0');
  await writeFile(join(folder, 'gateway.yaml'), config);
  await using gateway = await startGateway({
    commandArguments: ['--config', join(folder, 'gateway.yaml'), ...anyPort],
  });
  const logIn = (password: string) =>
    askLogin(loginUrlOf(gateway), {
      body: { username: 'jane', password },
      headers: { host: '127.0.0.1:8444' },
    });
  const { status, json } = await logIn('open-sesame');
  expect([status, json?.user]).toEqual([
    201,
    { username: 'people:jane', uid: '1', groups: ['people:k8s-admins'] },
  ]);
  const token = secret(String(json?.token));
  const who = await askLogin(loginUrlOf(gateway), {
    ...{ method: 'GET', path: '/v1/session', token },
    headers: { host: '127.0.0.1:8444' },
  });
  expect(who.status).toBe(200);
  expect((await logIn('wrong')).status).toBe(401);
});
