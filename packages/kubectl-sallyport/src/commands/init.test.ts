import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, onTestFinished, test } from 'vitest';
import { createClient } from '../testing/client.ts';
import { isOnPath } from './init.ts';

test('init warns when kubectl would not find the command', async () => {
  await using home = await temporaryFolder('init');
  const kubeconfig = 'clusters: [{name: prod, cluster: {server: https://prod.example.com}}]';
  const server = createServer(({ url }, response) => {
    response.end(url === '/v1/clusters' ? '{"clusters": [{"name": "prod"}]}' : kubeconfig);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const init = () => createClient(home.path).run(['init', url], { PATH: `/x::${home.path}` });
  expect(await init()).toMatchObject({ code: 0, stderr: expect.stringContaining('is not in a folder of PATH') });
  await writeFile(join(home.path, 'kubectl-sallyport'), '');
  expect(await init()).toMatchObject({ code: 0, stderr: '' });
  expect(isOnPath(home.path, 'win32')).toBe(false);
  await writeFile(join(home.path, 'kubectl-sallyport.cmd'), '');
  expect(isOnPath(home.path, 'win32')).toBe(true);
});
