import {
  type Authority,
  type KeyPair,
  sharedAuthority,
} from '@sallyport/test-servers/certificates';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { ber } from './testing/ber.ts';
import { connectTo, errorOf, never } from './testing/connecting.ts';
import type { FakePeer, FakeServerOptions } from './testing/fake-peer.ts';
import { type FakeServer, startFakeServer } from './testing/fake-server.ts';
import {
  bindResponse,
  disconnectionNotice,
  extendedResponse,
  searchDone,
} from './testing/ldap-answers.ts';
import { stopTimers } from './testing/stopped-timers.ts';

/**
 * The head of a bind response of success to the message after StartTLS. Its diagnostic message swallows the server's
 * true answer, 14 bytes, that comes behind it: a client that reads on in one buffer takes a wrong password for a right one.
 */
const injection = Buffer.from('301a02010261150a01000400040e', 'hex');

const credentials = { dn: 'cn=alice,dc=x', password: 'a wrong password' };

const startTlsOid = '1.3.6.1.4.1.1466.20037';

let authority: Authority;
let pair: KeyPair;
let ca: Buffer;

beforeAll(async () => {
  authority = await sharedAuthority();
  pair = await authority.sharedServer();
  ca = Buffer.from(authority.certificate);
});

/** Refuses every bind, so that a success must be forged on the way. */
function start(options: Pick<FakeServerOptions, 'onStartTls'>): Promise<FakeServer> {
  return startFakeServer({
    security: 'starttls',
    tls: { key: pair.key, cert: pair.certificate },
    onRequest: ({ id }, peer) => peer.write(bindResponse({ id, code: 49 })),
    ...options,
  });
}

/** No password and no bind was sent, in whatever form: only the StartTLS request was sent in clear text. */
function expectOnlyStartTls(fake: FakeServer): void {
  expect(fake.requests.map(({ operation, dn }) => [operation, dn])).toEqual([
    ['extended', startTlsOid],
  ]);
}

describe('rule 13: StartTLS', () => {
  test('is over TLS in everything that comes behind it', async () => {
    await using fake = await start({});
    const connection = await connectTo(fake.server, { tls: { ca } });
    expect(await connection.bind(credentials, never)).toMatchObject({ code: 49 });
    connection.close();
    await fake.untilClosed();
    expect(fake.clearText).toEqual(ber(0x30, ber(0x02, '\x01'), ber(0x77, ber(0x80, startTlsOid))));
  });

  test('names ldaps where the server closes the connection, as at its port for ldaps', async () => {
    await using fake = await start({ onStartTls: (_, peer) => peer.end() });
    expect(await errorOf(connectTo(fake.server, { tls: { ca } }))).toMatchObject({
      kind: 'closed',
      step: 'starttls',
      message: expect.stringContaining('port for ldaps (usually 636), write ldaps://'),
    });
  });

  test.each([
    { what: 'the head of an answer', glued: injection },
    { what: 'one byte', glued: injection.subarray(0, 1) },
    { what: 'a whole message', glued: searchDone({ id: 2 }) },
  ])(
    'is refused with $what glued behind its answer, though the certificate is valid',
    async ({ glued }) => {
      await using fake = await start({
        onStartTls({ id }, peer) {
          peer.write(Buffer.concat([extendedResponse({ id }), glued]));
          peer.startTls();
        },
      });
      const error = await errorOf(connectTo(fake.server, { tls: { ca } }));
      expect(error).toMatchObject({ kind: 'protocol', step: 'starttls' });
      expect(error.message).toContain('bytes behind the answer');
      await fake.untilClosed();
      expectOnlyStartTls(fake);
    },
  );

  test('never reads as LDAP what comes in clear text behind its answer, in a packet of its own', async () => {
    await using fake = await start({
      onStartTls({ id }, peer) {
        peer.write(extendedResponse({ id }));
        setImmediate(() => {
          peer.write(injection);
          peer.startTls();
        });
      },
    });
    const attempt = connectTo(fake.server, { tls: { ca } }).then((connection) =>
      connection.bind(credentials, never),
    );
    expect(await errorOf(attempt)).toMatchObject({ name: 'ServerError' });
    await fake.untilClosed();
    expect(fake.clearText.includes(credentials.password)).toBe(false);
  });

  test.each([1, 2, 52, 4096])('that is refused with code %i ends the connection', async (code) => {
    await using fake = await start({
      onStartTls: ({ id }, peer) =>
        peer.write(extendedResponse({ id, code, diagnosticMessage: 'no\nTLS' })),
    });
    const error = await errorOf(connectTo(fake.server, { tls: { ca } }));
    expect(error).toMatchObject({ kind: 'answer', step: 'starttls' });
    expect(error.message).toContain(`refused with result code ${code}: no TLS`);
    await fake.untilClosed();
    expectOnlyStartTls(fake);
  });

  test.each<{ what: string; answer: (peer: FakePeer) => void }>([
    { what: 'a bind response', answer: (peer) => peer.write(bindResponse({ id: 1 })) },
    { what: 'another id', answer: (peer) => peer.write(extendedResponse({ id: 2 })) },
    {
      what: 'another extended response',
      answer: (peer) => peer.write(extendedResponse({ id: 1, name: '1.2.3' })),
    },
    { what: 'a notice of disconnection', answer: (peer) => peer.write(disconnectionNotice(0)) },
    { what: 'no LDAP', answer: (peer) => peer.write(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')) },
    {
      what: 'a message of 1 MiB',
      answer: (peer) => peer.write(Buffer.from('308400100000', 'hex')),
    },
    { what: 'FIN', answer: (peer) => peer.end() },
    { what: 'RST', answer: (peer) => peer.reset() },
  ])('that is answered with $what ends the connection', async ({ answer }) => {
    await using fake = await start({ onStartTls: (_request, peer) => answer(peer) });
    const error = await errorOf(connectTo(fake.server, { tls: { ca } }));
    expect(error).toMatchObject({ name: 'ServerError', step: 'starttls' });
    await fake.untilClosed();
    expectOnlyStartTls(fake);
  });

  test('in pieces is an answer', async () => {
    await using fake = await start({
      onStartTls({ id }, peer) {
        peer.write(
          ...[...extendedResponse({ id, name: startTlsOid })].map((byte) => Buffer.from([byte])),
        );
        peer.startTls();
      },
    });
    (await connectTo(fake.server, { tls: { ca } })).close();
    await fake.untilClosed();
  });

  test('that is not answered ends with the step, and with the signal', async () => {
    await using fake = await start({ onStartTls: () => {} });
    stopTimers();
    const late = errorOf(connectTo(fake.server));
    await fake.untilRequests(1);
    vi.advanceTimersByTime(60_000);
    expect(await late).toMatchObject({ kind: 'timeout', step: 'starttls' });
    await fake.untilClosed();
    const caller = new AbortController();
    const attempt = connectTo(fake.server, { signal: caller.signal });
    await fake.untilRequests(2);
    caller.abort(new Error('gone'));
    await expect(attempt).rejects.toThrow('gone');
    await fake.untilClosed();
  });

  test('with an untrusted certificate sends no password in any form', async () => {
    await using fake = await start({});
    expect(await errorOf(connectTo(fake.server))).toMatchObject({ kind: 'tls', step: 'tls' });
    await fake.untilClosed();
    expectOnlyStartTls(fake);
  });
});
