import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { askIdentity } from './identity.ts';

/** Asks a server that answers in this way. */
async function askServer(answer: (response: ServerResponse) => void) {
  await using server = createServer((_, response) => answer(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return await askIdentity({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
}

const identity = { config: 'a', addresses: [{ host: '::', port: 8443 }] };
const withLength = (value: object) => (response: ServerResponse) => {
  const body = JSON.stringify(value);
  response.setHeader('Content-Length', body.length).end(body);
};

test('an identity is read', async () => {
  expect(await askServer(withLength(identity))).toEqual(identity);
});

test.each([
  { name: 'another answer', answer: withLength({ status: 'ok' }) },
  { name: 'a long answer', answer: withLength({ ...identity, more: 'x'.repeat(5000) }) },
  {
    name: 'an answer without a length',
    answer: (response: ServerResponse) => {
      response.write(JSON.stringify(identity));
      response.end();
    },
  },
  { name: 'no answer', answer: (response: ServerResponse) => response.destroy() },
])('$name is no identity', async ({ answer }) => {
  expect(await askServer(answer)).toBeUndefined();
});
