import { createSocket } from 'node:dgram';
import type { SrvRecord } from 'node:dns';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SrvOptions } from '../options/types.ts';
import { createSrvResolver, drawOrder, srvServers } from './server-list.ts';

const srv: SrvOptions = { name: '_ldap._tcp.example.com', security: 'starttls', nameServers: [] };
const record = (name: string, more: Partial<SrvRecord> = {}): SrvRecord => ({
  name,
  port: 389,
  priority: 0,
  weight: 0,
  ...more,
});
const urls = (records: readonly SrvRecord[], options = srv, anyTarget = false) =>
  srvServers(records, options, anyTarget).servers.map(({ server }) => server.url);

describe('SRV records', () => {
  test('give servers, in lower case and without the last dot, each once', () => {
    const records = [
      record('DC1.example.com.'),
      record('dc1.example.com'),
      record('dc2.example.com', { port: 3389 }),
    ];
    expect(urls(records)).toEqual(['ldap://dc1.example.com:389', 'ldap://dc2.example.com:3389']);
    expect(urls([record('dc1.example.com', { port: 636 })], { ...srv, security: 'ldaps' })).toEqual(
      ['ldaps://dc1.example.com:636'],
    );
  });

  test('whose target is outside of the domain are left out and named', () => {
    const records = [
      ...[
        'evil.test',
        'notexample.com',
        'example.com.evil.test',
        'a.example.com',
        'example.com',
        '10.0.0.1',
      ],
    ];
    const found = srvServers(
      records.map((name) => record(name)),
      srv,
      false,
    );
    expect(found.servers.map(({ server }) => server.host)).toEqual([
      'a.example.com',
      'example.com',
    ]);
    expect(found.foreign).toEqual([
      'evil.test',
      'notexample.com',
      'example.com.evil.test',
      '10.0.0.1',
    ]);
  });

  test('may have any target when certificates are checked against a fixed name', () => {
    expect(urls([record('elsewhere.test')], srv, true)).toEqual(['ldap://elsewhere.test:389']);
  });

  test.each([
    '_ldap._tcp.dc._msdcs.example.com',
    '_ldap._tcp.Site-1._sites.dc._msdcs.EXAMPLE.com.',
  ])("of Active Directory's %s belong to example.com", (name) => {
    expect(urls([record('dc1.example.com'), record('dc1.example.org')], { ...srv, name })).toEqual([
      'ldap://dc1.example.com:389',
    ]);
  });

  test('with the target "." or port 0 give none', () => {
    expect(
      urls([record('.'), record(''), record('a.example.com', { port: 0 })], srv, true),
    ).toEqual([]);
  });
});

describe('the order of RFC 2782', () => {
  const servers = (...weights: readonly (readonly [priority: number, weight: number])[]) =>
    srvServers(
      weights.map(([priority, weight], index) =>
        record(`s${index}.example.com`, { priority, weight }),
      ),
      srv,
      false,
    ).servers;

  test('goes by priority before all, and loses and doubles nothing', () => {
    const one = fc.tuple(fc.nat(3), fc.nat(65535));
    fc.assert(
      fc.property(
        fc.array(one, { maxLength: 20 }),
        fc.array(fc.float({ min: 0, max: Math.fround(0.999) })),
        (list, dice) => {
          const random = () => dice.pop() ?? 0.5;
          const all = servers(...list);
          const order = drawOrder(all, random);
          expect(order.map(({ priority }) => priority)).toEqual(
            all.map(({ priority }) => priority).sort(),
          );
          expect(new Set(order)).toEqual(new Set(all));
          expect(order.length).toBe(all.length);
        },
      ),
    );
  });

  test('begins with each as often as its weight says', () => {
    const all = servers([0, 10], [0, 30], [0, 60]);
    let state = 1;
    // Park and Miller's minimal standard generator gives the same numbers in each run.
    const random = () => {
      state = (state * 48271) % 2147483647;
      return state / 2147483647;
    };
    const firsts = [0, 0, 0];
    for (let draw = 0; draw < 10_000; draw++) {
      const first = all.indexOf(drawOrder(all, random)[0] as never);
      firsts[first] = (firsts[first] ?? 0) + 1;
    }
    for (const [index, share] of [0.1, 0.3, 0.6].entries()) {
      expect(Math.abs((firsts[index] ?? 0) / 10_000 - share)).toBeLessThan(0.03);
    }
  });

  test('has no favourite when all weights are 0', () => {
    const all = servers([0, 0], [0, 0]);
    const firstWith = (...dice: number[]) =>
      drawOrder(all, () => dice.shift() ?? 0)[0]?.server.host;
    expect([firstWith(0.1, 0.9), firstWith(0.9, 0.1)]).toEqual([
      's0.example.com',
      's1.example.com',
    ]);
  });
});

/** Starts a name server, which sends SRV records as DNS has them (RFC 1035 section 4), or nothing. */
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
    socket.send(
      Buffer.concat([head, question.subarray(12, end), record, data]),
      from.port,
      from.address,
    );
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
  const resolve = createSrvResolver([server.address], 60_000);
  expect(await resolve('_ldap._tcp.example.com', new AbortController().signal)).toMatchObject([
    { name: 'dc1.example.com', port: 636, priority: 1, weight: 2 },
  ]);
});

test('an aborted signal ends a lookup without an answer, with its reason', async () => {
  await using server = await nameServer(undefined);
  const controller = new AbortController();
  const lookup = createSrvResolver([server.address], 60_000)(
    '_ldap._tcp.example.com',
    controller.signal,
  );
  await server.asked();
  controller.abort(new Error('enough'));
  await expect(lookup).rejects.toThrow('enough');
  await expect(createSrvResolver([server.address], 60_000)('a', controller.signal)).rejects.toThrow(
    'enough',
  );
  expect(server.questions).toBe(1);
});
