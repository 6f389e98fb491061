import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, constants, type ServerHttp2Stream } from 'node:http2';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import type { Decision } from '@sallyport/authenticator';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ChainError } from '../engine/chain/chain.ts';
import { createTestAuthority, type TestAuthority } from '../testing/certificates.ts';
import { openSession, review, send, sendOn } from '../testing/clients.ts';
import { alice, holdTimers, startTestServer, type TestServer } from '../testing/server.ts';
import { connectionLimits } from './limits.ts';
import { readTlsMaterial, type TlsMaterial } from './tls.ts';

let authority: TestAuthority;
let tls: TlsMaterial;
beforeAll(async () => {
  authority = await createTestAuthority();
  const pair = await authority.issue({
    commonName: 'gateway',
    alternativeNames: ['IP.1 = 127.0.0.1'],
  });
  tls = await readTlsMaterial({ ...pair, minVersion: 'TLSv1.2' });
});
afterAll(() => authority.remove());

const open = (server: TestServer) => openSession(server.url, { ca: authority.cert });
const alive = async (server: TestServer) => {
  expect((await sendOn(open(server))).status).toBe(200);
  expect((await send(server.url, { ca: authority.cert })).status).toBe(200);
};

/** It never decides; it rejects when aborted, as the chain does. */
function hanging(): {
  authenticate: (token: string, context: { signal: AbortSignal }) => Promise<Decision>;
  signals: AbortSignal[];
} {
  const signals: AbortSignal[] = [];
  return {
    signals,
    authenticate: (_token, { signal }) => {
      signals.push(signal);
      return new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new ChainError([]))),
      );
    },
  };
}

/** Collects the streams of all servers of this process, from now to the end of the test. */
function seenStreams(): (ServerHttp2Stream & { readonly headers?: object })[] {
  const streams: ServerHttp2Stream[] = [];
  const see = (message: unknown) =>
    void streams.push((message as { readonly stream: ServerHttp2Stream }).stream);
  subscribe('http2.server.stream.created', see);
  onTestFinished(() => void unsubscribe('http2.server.stream.created', see));
  return streams;
}

describe('over HTTP/2', () => {
  test('a review is answered, and a second on the same session', async () => {
    const server = await startTestServer({ tls });
    const session = open(server);
    for (const version of ['v1', 'v1beta1']) {
      const answer = await sendOn(session, { body: review({ token: 't' }, version) });
      expect(answer).toMatchObject({ status: 200, json: { status: { authenticated: true } } });
    }
    expect(session.alpnProtocol).toBe('h2');
    expect(session.remoteSettings.maxConcurrentStreams).toBe(connectionLimits.maxStreams);
  });

  test('a request that was answered refers to nothing that would stay in memory with it', async () => {
    const server = await startTestServer({ tls });
    const streams = seenStreams();
    await sendOn(open(server));
    await expect.poll(() => streams[0]?.closed).toBe(true);
    const kept = () => ['data', 'end', 'close'].map((event) => streams[0]?.listenerCount(event));
    await expect.poll(kept).toEqual([0, 0, 0]);
    expect(streams).toMatchObject([{ headers: {}, _parsedUrl: undefined }]);
    expect(Object.keys(streams[0]?.headers ?? [])).toEqual([]);
    // An error that no one listens for would end the process.
    expect(streams[0]?.listenerCount('error')).toBe(1);
  });

  test('a request that its client has reset stays whole for the review in progress', async () => {
    const { authenticate, signals } = hanging();
    const server = await startTestServer({ tls, authenticate });
    const streams = seenStreams();
    const session = open(server);
    void sendOn(session).catch(() => undefined);
    await expect.poll(() => signals).toHaveLength(1);
    const ended = once(streams[0] as ServerHttp2Stream, 'close');
    session.destroy();
    await ended;
    await new Promise((resolve) => setImmediate(resolve));
    expect(streams).toMatchObject([{ headers: { ':path': '/authenticate' } }]);
    await expect.poll(() => server.outcomes).toHaveLength(1);
  });

  test.each<{ name: string; headers: Record<string, string>; status: number }>([
    { name: 'another content type', headers: { 'content-type': 'text/plain' }, status: 415 },
    { name: 'a coding', headers: { 'content-encoding': 'gzip' }, status: 415 },
    { name: 'too long by its length', headers: { 'content-length': '1000000' }, status: 413 },
    { name: 'another path', headers: { ':path': '/' }, status: 404 },
    { name: 'another method', headers: { ':method': 'PUT' }, status: 405 },
    { name: 'an unknown method', headers: { ':method': 'BREW' }, status: 405 },
  ])(
    '$name is answered before the body has arrived, and its stream ends soon',
    async ({ headers, status }) => {
      const server = await startTestServer({ tls, limits: { bodyTimeout: 50 } });
      const session = open(server);
      for (let index = 0; index < 3; index++) {
        const answer = await sendOn(session, { headers, unfinished: true, body: '{' });
        expect(answer).toMatchObject({ status, json: { kind: 'Status', code: status } });
      }
      // A leaked stream would keep the session open for good.
      await server.drain({ timeout: 10_000 });
      expect(server.log.map(({ message }) => message)).not.toContainEqual(
        expect.stringMatching(/cut/),
      );
      expect(server.inFlight.count).toBe(0);
    },
  );

  test('a client that keeps sending a refused body gets the whole answer, and its stream is reset', async () => {
    const server = await startTestServer({ tls, limits: { bodyTimeout: 10_000 } });
    const pass = holdTimers();
    const session = open(server);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/',
      'content-type': 'application/json',
    });
    const order: string[] = [];
    stream.on('data', () => undefined).once('end', () => order.push('end'));
    stream.once('close', () => order.push('close'));
    const chunk = Buffer.alloc(16 * 1024, ' ');
    let sent = 0;
    const more = () => {
      if (stream.closed || stream.destroyed) return;
      sent += chunk.length;
      // It is more than fits into any window: the body was read, so the client could have ended it.
      if (sent > 1_000_000) pass(10_000);
      stream.write(chunk, more);
    };
    more();
    await once(stream, 'close');
    expect(order).toEqual(['end', 'close']);
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
    expect(sent).toBeGreaterThan(1_000_000);
    await alive(server);
  });

  test('a body over the limit, in frames, is 413', async () => {
    const server = await startTestServer({ tls, settings: { maxBodySize: 1000 } });
    const answer = await sendOn(open(server), { unfinished: true, body: ' '.repeat(1001) });
    expect(answer).toMatchObject({ status: 413, json: { reason: 'RequestEntityTooLarge' } });
    await alive(server);
  });

  test('a body that comes too slowly is 408', async () => {
    const server = await startTestServer({ tls, limits: { bodyTimeout: 30 } });
    const answer = await sendOn(open(server), { unfinished: true, body: '{' });
    expect(answer).toMatchObject({ status: 408, json: { reason: 'BadRequest' } });
    await expect.poll(() => server.inFlight.count).toBe(0);
  });

  test('a reset stream aborts its lookup and ends its count, and the session stays open', async () => {
    const { authenticate, signals } = hanging();
    const server = await startTestServer({ tls, authenticate });
    const session = open(server);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/authenticate',
      'content-type': 'application/json',
    });
    stream.end(review());
    await expect.poll(() => signals).toHaveLength(1);
    stream.close(constants.NGHTTP2_CANCEL);
    await expect.poll(() => server.inFlight.count).toBe(0);
    expect(signals[0]?.aborted).toBe(true);
    expect((await sendOn(session, { headers: { ':method': 'GET' } })).status).toBe(405);
    expect(server.log.filter(({ level }) => level !== 'debug')).toEqual([]);
  });

  test('a session that goes aborts its lookups', async () => {
    const { authenticate, signals } = hanging();
    const server = await startTestServer({ tls, authenticate });
    const session = open(server);
    const lost = Promise.allSettled([1, 2, 3].map(() => sendOn(session)));
    await expect.poll(() => signals).toHaveLength(3);
    session.destroy();
    await lost;
    await expect.poll(() => signals.every(({ aborted }) => aborted)).toBe(true);
  });

  test('a stream that is reset in its body ends its review, and the session stays open', async () => {
    const server = await startTestServer({ tls });
    const session = open(server);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/authenticate',
      'content-type': 'application/json',
    });
    stream.write('{', () => stream.close(constants.NGHTTP2_CANCEL));
    await expect.poll(() => server.outcomes).toEqual([['invalid', undefined]]);
    expect((await sendOn(session)).status).toBe(200);
  });

  test('resetting streams as fast as they open ends that session alone, and its lookups count until they end', async () => {
    const work = Promise.withResolvers<Decision>();
    let started = 0;
    const server = await startTestServer({
      tls,
      // It ignores its signal, as the worst backends do.
      authenticate: () => {
        started++;
        return work.promise;
      },
    });
    // No time passes in which more resets are allowed.
    holdTimers();
    const bystander = open(server);
    const waiting = sendOn(bystander);
    await expect.poll(() => started).toBe(1);
    const attacker = connect(server.url, { ca: authority.cert });
    attacker.on('error', () => undefined);
    let ended = false;
    attacker.once('close', () => {
      ended = true;
    });
    await once(attacker, 'connect');
    const headers = {
      ':method': 'POST',
      ':path': '/authenticate',
      'content-type': 'application/json',
    };
    while (!ended) {
      for (let index = 0; index < 50 && !attacker.closed && !attacker.destroyed; index++) {
        const stream = attacker.request(headers);
        stream.on('error', () => undefined);
        stream.end(review(), () => stream.close(constants.NGHTTP2_CANCEL));
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(server.inFlight.count).toBe(started);
    // They are the one that waits, those that can be reset together, and those of the read that went over the limit.
    expect(started).toBeLessThan(connectionLimits.maxStreams * 1.5);
    const failed = server.log.filter(({ message }) => message === 'HTTP/2 connection failed');
    expect(failed).toMatchObject([{ level: 'debug', fields: { code: 'TOO_MANY_RESETS' } }]);
    expect(bystander.destroyed).toBe(false);
    work.resolve(alice);
    expect((await waiting).status).toBe(200);
    await expect.poll(() => server.inFlight.count).toBe(0);
    await alive(server);
  });

  test('header bombs are refused, and others are served', async () => {
    const server = await startTestServer({ tls });
    const headers = (count: number, length: number) =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [`x-${index}`, 'a'.repeat(length)]),
      );
    const session = open(server);
    // The limit on bytes applies when the client has acknowledged it; before, the limit is 64 KiB.
    for (let index = 0; index < 3; index++) await sendOn(session);
    await expect(sendOn(session, { headers: headers(20, 1000) })).rejects.toThrow(
      /ENHANCE_YOUR_CALM/,
    );
    await expect(sendOn(open(server), { headers: headers(30, 3000) })).rejects.toThrow();
    await expect(sendOn(open(server), { headers: headers(1000, 1) })).rejects.toThrow();
    await alive(server);
  });

  test('CONNECT gets neither a tunnel nor an answer that nothing counts: it ends its connection', async () => {
    const server = await startTestServer({ tls });
    const session = open(server);
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'evil.example:443' });
    const answers: unknown[] = [];
    stream.on('response', (headers) => answers.push(headers)).on('error', () => {});
    await once(
      session.on('error', () => {}),
      'close',
    );
    expect(answers).toEqual([]);
    await alive(server);
  });

  test.each([
    { group: 'X25519MLKEM768', isServed: true },
    { group: 'X25519', isServed: true },
    { group: 'P-256', isServed: true },
    { group: 'P-384', isServed: false },
    { group: 'P-521', isServed: false },
    { group: 'ffdhe3072', isServed: false },
  ])(
    'without client certificates, a client that has only $group for its key exchange is served: $isServed',
    async ({ group, isServed }) => {
      const server = await startTestServer({ tls });
      const socket = connectTls({
        port: server.port,
        host: '127.0.0.1',
        ca: authority.cert,
        ecdhCurve: group,
      });
      const end = await Promise.race([once(socket, 'secureConnect'), once(socket, 'error')]).catch(
        (error) => error,
      );
      expect(end instanceof Error ? false : socket.authorized).toBe(isServed);
      socket.destroy();
    },
  );

  test('a handshake on an open connection of TLS 1.2 is refused', async () => {
    const server = await startTestServer({ tls });
    const options = {
      port: server.port,
      host: '127.0.0.1',
      ca: authority.cert,
      maxVersion: 'TLSv1.2',
    } as const;
    const socket = connectTls(options);
    await once(socket, 'secureConnect');
    const refused = new Promise((resolve) => socket.on('error', resolve));
    socket.renegotiate({}, () => {});
    expect(String(await refused)).toMatch(/no.renegotiation/);
    socket.destroy();
  });

  test('a session without requests ends after the idle timeout', async () => {
    const server = await startTestServer({ tls, limits: { idleTimeout: 30 } });
    await once(open(server), 'close');
  });

  test('pings keep no session open that has no requests', async () => {
    const server = await startTestServer({ tls, limits: { idleTimeout: 50 } });
    const session = open(server);
    const ping = () => {
      if (!session.destroyed) session.ping((error) => error === null && setImmediate(ping));
    };
    session.once('connect', ping);
    await once(session, 'close');
  });

  test('a body that waits for "100 Continue" is read after it', async () => {
    const server = await startTestServer({ tls });
    const headers = {
      ':method': 'POST',
      ':path': '/authenticate',
      'content-type': 'application/json',
    };
    const stream = open(server).request({ ...headers, expect: '100-continue' });
    await once(stream, 'continue');
    stream.end(review());
    const [answer] = await once(stream, 'response');
    expect(answer[':status']).toBe(200);
    expect(await text(stream)).toContain('"authenticated":true');
  });
});
