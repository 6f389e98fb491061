import { describe, expect, test, vi } from 'vitest';
import {
  answerSuccess,
  connectTo,
  credentials,
  errorOf,
  everything,
  never,
} from './testing/connecting.ts';
import type { FakePeer } from './testing/fake-peer.ts';
import { startFakeServer } from './testing/fake-server.ts';
import { bindResponse, disconnectionNotice, searchEntry } from './testing/ldap-answers.ts';
import { stopTimers } from './testing/stopped-timers.ts';

describe('rule 1: an empty DN or password is never sent', () => {
  test.each([
    { what: 'an empty password', empty: { dn: 'cn=a', password: '' } },
    { what: 'an empty DN', empty: { dn: '', password: 'p' } },
    { what: 'neither', empty: { dn: '', password: '' } },
    {
      what: 'a password of another type',
      empty: { dn: 'cn=a', password: undefined as unknown as string },
    },
    { what: 'a DN of another type', empty: { dn: null as unknown as string, password: 'p' } },
  ])('with $what', async ({ empty }) => {
    await using fake = await startFakeServer({ onRequest: answerSuccess });
    const connection = await connectTo(fake.server);
    await expect(connection.bind(empty, never)).rejects.toThrow('a bind needs a DN and a password');
    expect(connection.isOpen).toBe(true);
    // Whatever had been sent before would have come before this.
    await connection.search(everything, never);
    expect(fake.requests.map(({ operation }) => operation)).toEqual(['search']);
    connection.close();
  });
});

describe('rule 2: a connection that is closed is gone', () => {
  test('with an unbind when nothing is in progress', async () => {
    await using fake = await startFakeServer({
      onRequest: (request, peer) => request.operation === 'bind' && answerSuccess(request, peer),
    });
    const connection = await connectTo(fake.server);
    const errors: unknown[] = [];
    connection.onClose((error) => errors.push(error));
    await connection.bind(credentials, never);
    connection.close();
    connection.close();
    expect(connection.isOpen).toBe(false);
    await fake.untilClosed();
    expect(fake.requests.map(({ operation }) => operation)).toEqual(['bind', 'unbind']);
    expect(errors).toEqual([undefined]);
  });

  test('though the server ignores FIN', async () => {
    let server: FakePeer | undefined;
    await using fake = await startFakeServer({
      ignoresFin: true,
      onRequest(request, peer) {
        server = peer;
        if (request.operation === 'bind') {
          answerSuccess(request, peer);
        }
      },
    });
    const connection = await connectTo(fake.server);
    await connection.bind(credentials, never);
    connection.close();
    await fake.untilRequests(2);
    // A socket that waits for FIN would take these bytes. A socket that is gone answers with RST.
    server?.write(Buffer.from('x'), Buffer.from('y'));
    await fake.untilClosed();
  });

  test('in the middle of an operation, without an unbind', async () => {
    await using fake = await startFakeServer();
    const connection = await connectTo(fake.server);
    const bind = errorOf(connection.bind(credentials, never));
    await fake.untilRequests(1);
    connection.close();
    expect(await bind).toMatchObject({ kind: 'closed', step: 'bind' });
    await fake.untilClosed();
    expect(fake.requests).toHaveLength(1);
  });

  test('and says so to listeners that come late', async () => {
    await using fake = await startFakeServer();
    const connection = await connectTo(fake.server);
    connection.close();
    const listener = vi.fn();
    connection.onClose(listener);
    expect(listener).toHaveBeenCalledExactlyOnceWith(undefined);
  });
});

describe('rule 3: nothing is queued, and nothing sent twice', () => {
  test('a second operation before the end of the first is not sent', async () => {
    let answer = () => {};
    await using fake = await startFakeServer({
      onRequest: (request, peer) => {
        answer = () => answerSuccess(request, peer);
      },
    });
    const connection = await connectTo(fake.server);
    const first = connection.search(everything, never);
    await fake.untilRequests(1);
    await expect(connection.bind(credentials, never)).rejects.toThrow(
      'on a connection during a search',
    );
    answer();
    expect(await first).toMatchObject({ code: 0 });
    const next = connection.search(everything, never);
    await fake.untilRequests(2);
    answer();
    await next;
    expect(fake.requests.map(({ operation }) => operation)).toEqual(['search', 'search']);
    connection.close();
  });

  test('after an error later operations throw, and no new connection is made', async () => {
    await using fake = await startFakeServer({ onRequest: (_request, peer) => peer.reset() });
    const connection = await connectTo(fake.server);
    expect(await errorOf(connection.bind(credentials, never))).toMatchObject({
      kind: 'closed',
      step: 'bind',
    });
    expect(await errorOf(connection.bind(credentials, never))).toMatchObject({
      kind: 'closed',
      step: 'bind',
    });
    expect(await errorOf(connection.search(everything, never))).toMatchObject({
      kind: 'closed',
      step: 'search',
    });
    expect([fake.connections, fake.requests.length]).toEqual([1, 1]);
  });
});

describe('rule 4: no state of a connection throws past it', () => {
  function halfMessage(peer: FakePeer): void {
    peer.write(bindResponse({ id: 2 }).subarray(0, 9));
    peer.end();
  }

  const endings: readonly { what: string; end: (peer: FakePeer) => void }[] = [
    { what: 'FIN', end: (peer) => peer.end() },
    { what: 'RST', end: (peer) => peer.reset() },
    {
      what: 'an HTTP answer',
      end: (peer) => peer.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')),
    },
    { what: 'zeros', end: (peer) => peer.write(Buffer.alloc(64)) },
    { what: 'a length of 2 GiB', end: (peer) => peer.write(Buffer.from('30847fffffff', 'hex')) },
    { what: 'half a message and FIN', end: halfMessage },
    {
      what: 'ten thousand tiny messages',
      end: (peer) => peer.write(Buffer.alloc(20_000, Buffer.from('3000', 'hex'))),
    },
    {
      what: 'a notice of disconnection',
      end: (peer) => peer.write(disconnectionNotice(52, 'shutting down')),
    },
  ];

  test.each(endings)('not when $what comes in place of an answer', async ({ end }) => {
    await using fake = await startFakeServer({ onRequest: (_request, peer) => end(peer) });
    const connection = await connectTo(fake.server);
    const closed = new Promise<unknown>((resolve) => connection.onClose(resolve));
    const error = await errorOf(connection.bind(credentials, never));
    expect(error.message).toContain(fake.server.url);
    expect(await closed).toBe(error);
    expect(connection.isOpen).toBe(false);
    await fake.untilClosed();
  });

  test.each([
    ...endings,
    {
      what: 'half a message',
      end: (peer: FakePeer) => peer.write(bindResponse({ id: 2 }).subarray(0, 9)),
    },
  ])('not when $what comes while nothing is asked', async ({ end }) => {
    let server: FakePeer | undefined;
    await using fake = await startFakeServer({
      onRequest(request, peer) {
        server = peer;
        answerSuccess(request, peer);
      },
    });
    const connection = await connectTo(fake.server);
    await connection.bind(credentials, never);
    const closed = new Promise<unknown>((resolve) => connection.onClose(resolve));
    if (server) {
      end(server);
    }
    expect(await closed).toMatchObject({ name: 'ServerError' });
    expect(await errorOf(connection.search(everything, never))).toMatchObject({ kind: 'closed' });
    await fake.untilClosed();
  });

  test('not when the server goes away after the close', async () => {
    let server: FakePeer | undefined;
    await using fake = await startFakeServer({ onConnection: (peer) => (server = peer) });
    const connection = await connectTo(fake.server);
    await fake.untilConnections(1);
    connection.close();
    server?.reset();
    await fake.untilClosed();
    expect(connection.isOpen).toBe(false);
  });

  test('and a notice of disconnection reports its code', async () => {
    await using fake = await startFakeServer({
      onRequest: (_request, peer) => peer.write(disconnectionNotice(51, 'too\nbusy')),
    });
    const error = await errorOf((await connectTo(fake.server)).bind(credentials, never));
    expect(error).toMatchObject({ kind: 'closed', step: 'bind' });
    expect(error.message).toBe(
      `${fake.server.url}: bind: the server ended the connection with result code 51: too busy`,
    );
  });

  test('and an answer counts although a notice is glued to it', async () => {
    await using fake = await startFakeServer({
      onRequest: ({ id }, peer) =>
        peer.write(Buffer.concat([bindResponse({ id, code: 49 }), disconnectionNotice(52)])),
    });
    const connection = await connectTo(fake.server);
    expect(await connection.bind(credentials, never)).toMatchObject({ code: 49 });
    expect(connection.isOpen).toBe(false);
  });
});

describe('rule 5: one deadline for an operation, and one end', () => {
  const answers: readonly { what: string; text: string; answer: (id: number) => Buffer }[] = [
    { what: 'nothing comes', text: 'no answer within 60s', answer: () => Buffer.alloc(0) },
    {
      what: 'one entry comes',
      text: 'only a part of the answer within 60s',
      answer: (id) => searchEntry({ id, dn: 'cn=x' }),
    },
    {
      what: 'half an entry comes',
      text: 'only a part',
      answer: (id) => searchEntry({ id, dn: 'cn=x' }).subarray(0, 5),
    },
  ];

  test.each(answers)('when $what and then silence', async ({ text, answer }) => {
    stopTimers();
    await using fake = await startFakeServer({
      onRequest: ({ id }, peer) => peer.write(answer(id)),
    });
    const connection = await connectTo(fake.server);
    const search = errorOf(connection.search(everything, never));
    await fake.untilRequests(1);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    vi.advanceTimersByTime(59_999);
    expect(connection.isOpen).toBe(true);
    vi.advanceTimersByTime(1);
    const error = await search;
    expect(error).toMatchObject({ kind: 'timeout', step: 'search' });
    expect(error.message).toContain(text);
    await fake.untilClosed();
  });

  test('when entries come one by one without an end', async () => {
    stopTimers();
    let drip = () => {};
    await using fake = await startFakeServer({
      onRequest({ id }, peer) {
        drip = () => peer.write(searchEntry({ id, dn: 'cn=x' }));
      },
    });
    const connection = await connectTo(fake.server);
    const search = errorOf(connection.search(everything, never));
    await fake.untilRequests(1);
    for (let count = 0; count < 5; count++) {
      drip();
      for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
      vi.advanceTimersByTime(12_000);
    }
    expect(await search).toMatchObject({ kind: 'timeout' });
    await fake.untilClosed();
  });

  test('and the next operation has a deadline of its own', async () => {
    stopTimers();
    await using fake = await startFakeServer({ onRequest: answerSuccess });
    const connection = await connectTo(fake.server);
    await connection.bind(credentials, never);
    expect(vi.getTimerCount()).toBe(0);
    connection.close();
  });

  test('an abort ends it with its reason, and the socket', async () => {
    await using fake = await startFakeServer();
    const connection = await connectTo(fake.server);
    const listener = vi.fn();
    connection.onClose(listener);
    const caller = new AbortController();
    const bind = connection.bind(credentials, caller.signal);
    await fake.untilRequests(1);
    const reason = new Error('the caller went away');
    caller.abort(reason);
    await expect(bind).rejects.toBe(reason);
    expect(listener).toHaveBeenCalledExactlyOnceWith(undefined);
    await fake.untilClosed();
  });

  test('a signal that is aborted before keeps the request from going out', async () => {
    await using fake = await startFakeServer();
    const connection = await connectTo(fake.server);
    const reason = new Error('too late');
    await expect(connection.bind(credentials, AbortSignal.abort(reason))).rejects.toBe(reason);
    await fake.untilClosed();
    expect(fake.clearText).toHaveLength(0);
  });
});
