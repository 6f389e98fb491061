import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { checkAddress } from './check-address.ts';

const check = async (host: string, port: number) =>
  (await checkAddress('server.listen', { host, port }, [])).map(
    ({ result, detail }) => `${result}: ${detail}`,
  );

test('an address in use is a warning, and one at which no gateway can listen an error', async () => {
  await using server = createServer().listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  expect(await check('127.0.0.1', port)).toEqual([
    expect.stringMatching(/^warning: 127\.0\.0\.1:\d+ is in use/),
  ]);
  expect(await check('127.0.0.1', 0)).toEqual([]);
  // RFC 5737, section 3.
  expect(await check('192.0.2.10', 0)).toEqual([
    expect.stringMatching(/^error: .* this machine has no such address$/),
  ]);
  // No resolver is asked about a label of 64 characters (RFC 1035, section 2.3.4).
  const name = `${'a'.repeat(64)}.example.com`;
  expect(await check(name, 0)).toEqual([
    expect.stringMatching(/^error: server\.listen: can't listen on a+\.example/),
  ]);
});
