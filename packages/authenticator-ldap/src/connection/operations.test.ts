import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { encodeBind } from './codec.ts';
import { createOperations } from './operations.ts';
import { never } from './testing/connecting.ts';
import { startFakeServer } from './testing/fake-server.ts';
import { bindResponse } from './testing/ldap-answers.ts';

test('the bytes that hold a password are overwritten once they were sent', async () => {
  await using fake = await startFakeServer({
    onRequest: ({ id }, peer) => peer.write(bindResponse({ id })),
  });
  const socket = connect(fake.server.port, fake.server.host);
  const operations = createOperations(socket, { server: fake.server, timeout: 5000 });
  const written: Buffer[] = [];
  const encode = (id: number) => {
    const bytes = encodeBind(id, { dn: 'cn=x', password: 'secret' });
    written.push(bytes);
    return bytes;
  };
  await operations.run({ step: 'bind', encode, accept: () => true, isSecret: true }, never);
  expect(fake.requests).toMatchObject([{ operation: 'bind', password: 'secret' }]);
  expect(written.map((bytes) => bytes.every((byte) => byte === 0))).toEqual([true]);
  operations.close();
});

test('operations over a socket that is gone are closed from the beginning', async () => {
  await using fake = await startFakeServer();
  const socket = connect(fake.server.port, fake.server.host).destroy();
  expect(createOperations(socket, { server: fake.server, timeout: 5000 }).isOpen).toBe(false);
});
