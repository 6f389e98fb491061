import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, test } from 'vitest';
import { createClient } from '../testing/client.ts';
import { localServer } from '../testing/local-server.ts';
import { isOnPath } from './init.ts';

test('init warns when kubectl would not find the command', async () => {
  await using home = await temporaryFolder('init');
  const kubeconfig = 'clusters: [{name: prod, cluster: {server: https://prod.example.com}}]';
  const url = await localServer(({ url: path }, response) => {
    response.end(path === '/v1/clusters' ? '{"clusters": [{"name": "prod"}]}' : kubeconfig);
  });
  const init = () => createClient(home.path).run(['init', url], { PATH: `/x::${home.path}` });
  expect(await init()).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('is not in a folder of PATH'),
  });
  await writeFile(join(home.path, 'kubectl-sallyport'), '');
  expect(await init()).toMatchObject({ code: 0, stderr: '' });
  expect(isOnPath(home.path, 'win32')).toBe(false);
  await writeFile(join(home.path, 'kubectl-sallyport.cmd'), '');
  expect(isOnPath(home.path, 'win32')).toBe(true);
});
