import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { listen } from './http-server.ts';

function newServer(): Server {
  const server = createServer();
  onTestFinished(() => {
    server.close();
  });
  return server;
}

async function takePort(): Promise<number> {
  const server = newServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

test.each([
  { setting: 'server.listen', orOption: ', or with serve --listen 127.0.0.1:PORT' },
  { setting: 'admin.listen', orOption: ', or with serve --admin-listen 127.0.0.1:PORT' },
  { setting: 'login.listen', orOption: '' },
])('a taken port of $setting is an error that says where to change it', async (address) => {
  const port = await takePort();
  const message =
    `${address.setting}: can't listen on 127.0.0.1:${port}: another process listens there: ` +
    `stop it, or use another port in ${address.setting}${address.orOption}`;
  await expect(
    listen(newServer(), { host: '127.0.0.1', port }, address.setting),
  ).rejects.toMatchObject({ message });
});

test('an address of the command line is named by its option', async () => {
  const address = { host: '127.0.0.1', port: await takePort(), option: '--listen' };
  await expect(listen(newServer(), address, 'server.listen')).rejects.toMatchObject({
    message:
      `--listen: can't listen on 127.0.0.1:${address.port}: another process listens there: ` +
      'stop it, or use another port in --listen',
  });
});

test('a free port replaces a taken one only where the address allows it', async () => {
  const port = await takePort();
  const server = newServer();
  const address = { host: '127.0.0.1', port, orAnyPort: true } as const;
  const freePort = await listen(server, address, 'server.listen');
  expect([(server.address() as AddressInfo).port, freePort === port]).toEqual([freePort, false]);
  // Nothing else can have this port there: the taken one keeps it from servers of every address.
  const unused = { ...address, host: '127.0.0.2' };
  expect(await listen(newServer(), unused, 'server.listen')).toBe(port);
});
