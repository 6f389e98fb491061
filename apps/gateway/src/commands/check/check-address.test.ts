import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { runCheck } from '../finding.ts';
import { checkAddress } from './check-address.ts';

const check = async (
  host: string,
  port: number,
  gateway?: { configFile: string | undefined; on: number },
) => {
  const identity = gateway && {
    config: '',
    addresses: [{ host: '127.0.0.1', port: gateway.on }],
    configFile: gateway.configFile,
  };
  const context = { files: [], gateway: Promise.resolve(identity) };
  const findings = await runCheck('listen', () =>
    checkAddress('server.listen', { host, port }, context),
  );
  return findings.map(({ result, detail, fix }) =>
    [result, detail, ...(result === 'error' && fix !== undefined ? [fix] : [])].join(': '),
  );
};

test('an address at which no gateway can listen is an error', async () => {
  expect(await check('127.0.0.1', 0)).toEqual([]);
  // RFC 5737, section 3.
  expect(await check('192.0.2.10', 0)).toEqual([
    expect.stringMatching(
      /^error: .* this machine has no such address: use an address of this machine/,
    ),
  ]);
  // No resolver is asked about a label of 64 characters (RFC 1035, section 2.3.4).
  const name = `${'a'.repeat(64)}.example.com`;
  expect(await check(name, 0)).toEqual([
    expect.stringMatching(/^error: server\.listen: can't listen on a+\.example/),
  ]);
});

test('an address in use is a warning, unless the gateway of this config listens there', async () => {
  await using server = createServer().listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const place = `warning: 127.0.0.1:${port} is in use by`;
  expect(await check('127.0.0.1', port)).toEqual([
    `${place} another process, or by this gateway if it runs with another admin.listen`,
  ]);
  expect(await check('127.0.0.1', port, { configFile: '/etc/gateway.yaml', on: port })).toEqual([]);
  expect(await check('0.0.0.0', port, { configFile: '/etc/gateway.yaml', on: port })).toEqual([]);
  expect(await check('127.0.0.1', port, { configFile: undefined, on: port })).toEqual([
    `${place} a gateway with another config file`,
  ]);
  expect(await check('127.0.0.1', port, { configFile: '/etc/gateway.yaml', on: port + 1 })).toEqual(
    [`${place} another process: the gateway of this config runs, and does not listen there`],
  );
});
