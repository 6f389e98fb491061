import { once } from 'node:events';
import { Agent as PlainAgent } from 'node:http';
import type { ClientHttp2Session } from 'node:http2';
import { Agent } from 'node:https';
import { connect } from 'node:net';
import { connect as secure } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestAuthority, type TestAuthority } from '../testing/certificates.ts';
import { openRaw, openSession, rawPost, review, send, sendOn } from '../testing/clients.ts';
import { alice, anHour, holdTimers, startTestServer, type TestServer } from '../testing/server.ts';
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

/** The requests of each client after an answer made it reconnect, on new connections, which the grace still accepts. */
const more = 5;
/** A client that no answer makes reconnect has failed the test. */
const most = 20_000;

/**
 * Drains while clients send one request after another, until an answer makes them reconnect, and a few more. Then the
 * grace ends.
 */
async function drainUnderLoad(
  server: TestServer,
  next: () => Promise<{ status: number }>,
  mustReconnect: () => boolean,
): Promise<number[]> {
  const statuses: number[] = [];
  const started = Promise.withResolvers<void>();
  const client = async () => {
    for (let count = 0, after = 0; count < most && after < more; count++) {
      statuses.push(
        await next().then(
          ({ status }) => status,
          () => 0,
        ),
      );
      if (statuses.length > 200) started.resolve();
      if (mustReconnect()) after++;
    }
  };
  const clients = Array.from({ length: 8 }, client);
  await started.promise;
  const pass = holdTimers();
  const drained = server.drain({ timeout: 2 * anHour });
  await Promise.all(clients);
  pass(anHour);
  await drained;
  expect(server.log.map(({ message }) => message)).not.toContainEqual(expect.stringMatching(/cut/));
  expect(mustReconnect()).toBe(true);
  return statuses;
}

describe('drain', () => {
  const authenticate = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return alice;
  };

  test.each(['plain HTTP', 'HTTP/1.1 with TLS'])(
    'loses nothing under load, over %s',
    async (name) => {
      const secure = name !== 'plain HTTP';
      const server = await startTestServer({
        authenticate,
        limits: { drainGrace: anHour },
        ...(secure && { tls }),
      });
      const agent = secure
        ? new Agent({ keepAlive: true, ca: authority.cert })
        : new PlainAgent({ keepAlive: true });
      let isLast = false;
      const next = async () => {
        const answer = await send(server.url, { agent });
        if (answer.headers.connection === 'close') isLast = true;
        return answer;
      };
      const statuses = await drainUnderLoad(server, next, () => isLast);
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
      agent.destroy();
    },
  );

  test('loses nothing under load, over HTTP/2', async () => {
    const server = await startTestServer({ tls, authenticate, limits: { drainGrace: anHour } });
    let isLast = false;
    let session: ClientHttp2Session | undefined;
    const current = () => {
      if (session !== undefined) return session;
      const fresh = openSession(server.url, { ca: authority.cert });
      fresh.once('goaway', () => {
        isLast = true;
        if (session === fresh) session = undefined;
      });
      session = fresh;
      return fresh;
    };
    const statuses = await drainUnderLoad(
      server,
      async () => {
        // Node emits the GOAWAY after the answers that came with it.
        await new Promise((resolve) => setImmediate(resolve));
        // A request that had not left when it came was never sent: RFC 9113 section 8.7 lets clients send it again, as
        // Go's does.
        return sendOn(current()).catch((error: Error) => {
          if (error.message.includes('NGHTTP2_REFUSED_STREAM')) return sendOn(current());
          throw error;
        });
      },
      () => isLast,
    );
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    expect(server.outcomes).toHaveLength(statuses.length);
  });

  test('waits for a slow review, refuses new connections, and closes none early', async () => {
    const decision = Promise.withResolvers<typeof alice>();
    const server = await startTestServer({ authenticate: () => decision.promise });
    const answer = send(server.url, { agent: new PlainAgent({ keepAlive: true }) });
    await expect.poll(() => server.inFlight.count).toBe(1);
    const drained = server.drain({ timeout: 10_000 });
    await expect
      .poll(() => send(server.url, { method: 'GET' }).catch(String))
      .toMatch(/ECONNREFUSED/);
    decision.resolve(alice);
    expect(await answer).toMatchObject({ status: 200, headers: { connection: 'close' } });
    await drained;
    expect(server.log.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  test('a client in its TLS handshake when the server stops listening gets its answer, and ends after the grace', async () => {
    const server = await startTestServer({ tls, limits: { drainGrace: anHour } });
    const pass = holdTimers();
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    const drained = server.drain({ timeout: 3 * anHour });
    pass(anHour);
    await expect
      .poll(() => send(server.url, { ca: authority.cert }).catch(String))
      .toMatch(/ECONNREFUSED/);
    const session = openSession(server.url, {
      createConnection: () =>
        secure({ socket, host: '127.0.0.1', ca: authority.cert, ALPNProtocols: ['h2'] }),
    });
    expect((await sendOn(session)).status).toBe(200);
    pass(anHour);
    await drained;
    expect(server.log.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  test('what has arrived when the grace ends is answered, although the server was too late to read it', async () => {
    const server = await startTestServer({ limits: { drainGrace: anHour } });
    const pass = holdTimers();
    const raw = openRaw(server.port);
    raw.socket.write(rawPost(review()));
    await expect.poll(() => raw.received()).toContain('"authenticated":true');
    const drained = server.drain({ timeout: 2 * anHour });
    raw.socket.write(rawPost(review()));
    pass(anHour);
    await Promise.all([drained, raw.closed]);
    expect(raw.received().match(/"authenticated":true/g)).toHaveLength(2);
  });

  test('closes idle connections of both protocols', async () => {
    const server = await startTestServer({ tls });
    const session = openSession(server.url, { ca: authority.cert });
    const agent = new Agent({ keepAlive: true, ca: authority.cert });
    await Promise.all([sendOn(session), send(server.url, { agent })]);
    await Promise.all([once(session, 'close'), server.drain({ timeout: 10_000 })]);
    expect(server.log.filter(({ level }) => level === 'warn')).toEqual([]);
    agent.destroy();
  });

  test('pipelined requests all get their answers before the end', async () => {
    const decision = Promise.withResolvers<typeof alice>();
    const server = await startTestServer({ authenticate: () => decision.promise });
    const raw = openRaw(server.port);
    raw.socket.write(Buffer.concat([rawPost(review()), rawPost(review()), rawPost(review())]));
    await expect.poll(() => server.inFlight.count).toBe(3);
    const drained = server.drain({ timeout: 10_000 });
    decision.resolve(alice);
    await drained;
    await raw.closed;
    expect(raw.received().match(/"authenticated":true/g)).toHaveLength(3);
  });

  test('closes connections whose requests take longer than the timeout, and logs it', async () => {
    const server = await startTestServer({ tls, authenticate: () => new Promise(() => undefined) });
    const waiting = [
      sendOn(openSession(server.url, { ca: authority.cert })),
      send(server.url, { ca: authority.cert }),
    ];
    await expect.poll(() => server.inFlight.count).toBe(2);
    const cut = Promise.allSettled(waiting);
    await server.drain({ timeout: 100 });
    expect((await cut).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(server.log).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        fields: expect.objectContaining({ connections: 2 }),
      }),
    );
  });
});
