import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, test } from 'vitest';
import { createClient } from '../testing/client.ts';
import { localServer } from '../testing/local-server.ts';

test('a password for a server of this machine goes through no proxy', async () => {
  await using home = await temporaryFolder('proxy');
  const asked = { proxy: 0, server: 0 };
  const proxy = await localServer((_request, response) => {
    asked.proxy += 1;
    response.writeHead(502).end();
  });
  const url = await localServer((_request, response) => {
    asked.server += 1;
    const session = { token: 'sps_x', user: { username: 'corp:ada' }, expiresAt: '2999-01-01T00:00:00Z' };
    response.writeHead(201).end(JSON.stringify(session));
  });
  // Node reads these when it starts.
  const env = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: proxy, http_proxy: proxy };
  const login = `$PLUGIN login --url ${url} --cluster prod --username ada --password-stdin`;
  const run = createClient(home.path).terminal(`printf secret | ${login}`, env);
  expect([await run.ended, run.shown()]).toEqual([0, expect.stringContaining('as corp:ada')]);
  expect(asked).toEqual({ proxy: 0, server: 1 });
});
