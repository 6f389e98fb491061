import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { runLdapTool, tryBind } from './ldap-tools.ts';
import { accepts } from './ports.ts';
import { startSlapd } from './slapd.ts';

/** RFC 4511 section 4.2, in BER. */
const anonymousBind = Buffer.from('300c020101600702010304008000', 'hex');
const anonymousBindAnswer = Buffer.from('300c02010161070a010004000400', 'hex');

async function answerOf(port: number, request: Buffer): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(request);
    const [answer] = await once(socket, 'data');
    return answer;
  } finally {
    socket.destroy();
  }
}

test('stops, hangs and comes back with its data, on the same ports, and counts operations', async () => {
  await using own = await startSlapd();
  const service = { url: own.url, ...own.service };
  expect(await own.operations()).toMatchObject({ binds: 0, searches: 0 });
  expect(await tryBind(service)).toMatchObject({ code: 0 });
  await own.stop();
  expect(await tryBind(service)).toMatchObject({ code: 255 });
  await own.start();
  await own.hang();
  const late = answerOf(own.port, anonymousBind);
  const first = await Promise.race([late, accepts(own.port)]);
  expect(first).toBe(true);
  await own.start();
  expect(await late).toEqual(anonymousBindAnswer);
  expect(await runLdapTool('ldapsearch', service, ['-b', own.suffix, '(cn=nobody)'])).toMatchObject(
    { code: 0 },
  );
  expect(await tryBind({ ...service, password: 'wrong' })).toMatchObject({ code: 49 });
  const counted = await own.operations();
  expect(counted.bindsByDn).toEqual(new Map(Object.entries({ [own.service.dn]: 3, '': 1 })));
  expect(counted.searchesByDn).toEqual(new Map([[own.service.dn, 1]]));
  expect(counted).toMatchObject({ binds: 4, searches: 1 });
});

test('counts each operation once, however many ask at the same time', async () => {
  await using own = await startSlapd();
  expect(await tryBind({ url: own.url, ...own.service })).toMatchObject({ code: 0 });
  const counted = await Promise.all(Array.from({ length: 5 }, () => own.operations()));
  expect(counted.map(({ binds }) => binds)).toEqual([1, 1, 1, 1, 1]);
});

test('a hanging one ends too', async () => {
  const own = await startSlapd({ countsOperations: false });
  await own.hang();
  await own[Symbol.asyncDispose]();
  expect(await accepts(own.port)).toBe(false);
});
