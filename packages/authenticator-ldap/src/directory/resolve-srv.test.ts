import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { createSrvResolver } from './srv-records.ts';

/** A name server on a port of its own. It gives SRV records in DNS' own bytes (RFC 1035 section 4), or says nothing. */
async function nameServer(target: string | undefined) {
  const socket = createSocket('udp4');
  let questions = 0;
  socket.on('message', (question, from) => {
    questions++;
    if (target === undefined) return;
    const name = Buffer.concat([
      ...target.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
      Buffer.alloc(1),
    ]);
    const end = question.indexOf(0, 12) + 5;
    const data = Buffer.concat([Buffer.from([0, 1, 0, 2, 2, 124]), name]);
    const head = Buffer.from([...question.subarray(0, 2), 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    const record = Buffer.from([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, data.length]);
    socket.send(Buffer.concat([head, question.subarray(12, end), record, data]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    get questions() {
      return questions;
    },
    asked: () => once(socket, 'message'),
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

test('SRV records are asked for at the name servers of the options', async () => {
  await using server = await nameServer('dc1.example.com');
  const resolve = createSrvResolver([server.address], 1000);
  expect(await resolve('_ldap._tcp.example.com', new AbortController().signal)).toMatchObject([
    { name: 'dc1.example.com', port: 636, priority: 1, weight: 2 },
  ]);
});

test('an aborted signal ends a lookup without an answer, with its reason', async () => {
  await using server = await nameServer(undefined);
  const controller = new AbortController();
  const lookup = createSrvResolver([server.address], 60_000)('_ldap._tcp.example.com', controller.signal);
  await server.asked();
  controller.abort(new Error('enough'));
  await expect(lookup).rejects.toThrow('enough');
  await expect(createSrvResolver([server.address], 60_000)('a', controller.signal)).rejects.toThrow('enough');
  expect(server.questions).toBe(1);
});
