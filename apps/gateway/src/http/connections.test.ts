import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createTestAuthority, type Pair, type TestAuthority } from '../testing/certificates.ts';
import { openSession, rawPost, review, sendOn } from '../testing/clients.ts';
import { startTestServer, type TestServer } from '../testing/server.ts';
import { connectionLimits } from './limits.ts';
import { createResetCount } from './reset-count.ts';
import { readTlsMaterial, type TlsMaterial } from './tls.ts';

const limits = { maxNewConnections: 3, maxConnections: 100 };

let authority: TestAuthority;
let apiServer: Pair;
let kubelet: Pair;
let tls: TlsMaterial;
let serverTls: TlsMaterial;
beforeAll(async () => {
  authority = await createTestAuthority();
  const pair = await authority.issue({
    commonName: 'gateway',
    alternativeNames: ['IP.1 = 127.0.0.1'],
  });
  apiServer = await authority.issue({ commonName: 'kube-apiserver' });
  kubelet = await authority.issue({ commonName: 'kubelet' });
  const client = { caFile: authority.certFile, names: ['kube-apiserver'] };
  tls = await readTlsMaterial({ ...pair, client, minVersion: 'TLSv1.2' });
  serverTls = await readTlsMaterial({ ...pair, minVersion: 'TLSv1.2' });
});
afterAll(() => authority.remove());

const as = ({ cert, key }: Pair) => ({ ca: authority.cert, cert, key });

/** Connects and sends nothing. */
async function openSilent(
  server: TestServer,
): Promise<{ readonly socket: Socket; readonly closed: Promise<void> }> {
  const socket = connect(server.port, '127.0.0.1').on('error', () => {});
  onTestFinished(() => void socket.destroy());
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await once(socket, 'connect');
  return { socket, closed };
}

/** Opens silent connections until one more has closed the first of them. */
async function flood(server: TestServer): Promise<void> {
  const silent = [];
  for (let count = 0; count <= limits.maxNewConnections; count++)
    silent.push(await openSilent(server));
  await silent[0]?.closed;
  expect(silent.slice(1).every(({ socket }) => socket.readyState === 'open')).toBe(true);
}

/** Sends a review on a connection of HTTP/1.1. */
async function ask(socket: Socket): Promise<string> {
  const answer = once(socket, 'data');
  socket.write(rawPost(review()));
  return String(await answer);
}

describe('connections without a request close each other, and no connection with one', () => {
  test('over plain HTTP', async () => {
    const server = await startTestServer({ limits });
    const { socket } = await openSilent(server);
    expect(await ask(socket)).toMatch(/^HTTP\/1.1 200 /);
    await flood(server);
    expect(await ask(socket)).toMatch(/^HTTP\/1.1 200 /);
  });

  test('over TLS', async () => {
    const server = await startTestServer({ limits, tls });
    const socket = connectSecure({ host: '127.0.0.1', port: server.port, ...as(apiServer) });
    onTestFinished(() => void socket.destroy());
    expect(await ask(socket)).toMatch(/^HTTP\/1.1 200 /);
    await flood(server);
    expect(await ask(socket)).toMatch(/^HTTP\/1.1 200 /);
  });

  test('over HTTP/2', async () => {
    const server = await startTestServer({ limits, tls });
    const session = openSession(server.url, as(apiServer));
    expect((await sendOn(session)).status).toBe(200);
    await flood(server);
    expect((await sendOn(session)).status).toBe(200);
  });
});

test('a client with a wrong name stays among those that are closed', async () => {
  const server = await startTestServer({ limits, tls });
  const session = openSession(server.url, as(kubelet));
  const closed = once(session, 'close');
  expect((await sendOn(session)).status).toBe(403);
  for (let count = 0; count < limits.maxNewConnections; count++) await openSilent(server);
  await closed;
});

test('connections beyond maxConnections are dropped', async () => {
  const server = await startTestServer({ limits: { maxNewConnections: 3, maxConnections: 2 } });
  const [first, , third] = [
    await openSilent(server),
    await openSilent(server),
    await openSilent(server),
  ];
  await third.closed;
  expect(await ask(first.socket)).toMatch(/^HTTP\/1.1 200 /);
});

test('one request too many over HTTP/2 ends the oldest, on whatever connection, and is answered', async () => {
  const { url } = await startTestServer({
    tls: serverTls,
    limits: { maxRequests: 3 },
    settings: { maxInFlight: 2 },
  });
  const [slow, other] = [
    openSession(url, { ca: authority.cert }),
    openSession(url, { ca: authority.cert }),
  ];
  const ended: number[] = [];
  const begin = (number: number) =>
    sendOn(slow, { unfinished: true }).catch(() => void ended.push(number));
  // maxInFlight allows four.
  const [first] = [1, 2, 3, 4].map(begin);
  await new Promise((resolve) => slow.ping(resolve));
  expect(ended).toEqual([]);
  expect((await sendOn(other)).status).toBe(200);
  await first;
  expect((await sendOn(other)).status).toBe(200);
  await new Promise((resolve) => slow.ping(resolve));
  expect(ended).toEqual([1]);
});

test('answers over HTTP/2 that no one reads end their connection when there are too many requests', async () => {
  const { url } = await startTestServer({
    tls: serverTls,
    limits: { maxRequests: 3 },
    settings: { maxInFlight: 1 },
  });
  const ca = authority.cert;
  const unread = openSession(url, { ca, settings: { initialWindowSize: 0 } });
  const closed = once(unread, 'close');
  for (let count = 0; count < 3; count++) {
    const stream = unread.request({ ':path': '/' }).on('error', () => {});
    await once(stream, 'response');
  }
  expect((await sendOn(openSession(url, { ca }))).status).toBe(200);
  await closed;
});

test('32 HTTP/2 connections have 250 requests each, and further ones 8 until one of them has ended', async () => {
  const { url } = await startTestServer({ tls: serverTls });
  const connectAndRead = async () => {
    const session = openSession(url, { ca: authority.cert });
    expect((await sendOn(session)).status).toBe(200);
    return session;
  };
  const sessions: ClientHttp2Session[] = [];
  for (let count = 0; count < 33; count++) sessions.push(await connectAndRead());
  const streams = sessions.map((session) => session.remoteSettings.maxConcurrentStreams);
  expect(streams).toEqual([...Array.from({ length: 32 }, () => 250), 8]);
  await new Promise<void>((resolve) => sessions[0]?.close(resolve));
  const isFull = async () => (await connectAndRead()).remoteSettings.maxConcurrentStreams;
  await expect.poll(isFull).toBe(250);
});

test('an HTTP/2 connection stays open whatever it is answered', async () => {
  const { url } = await startTestServer({ tls: serverTls });
  const session = openSession(url, { ca: authority.cert });
  for (let count = 0; count < 30; count++) {
    const reviews = Array.from({ length: 8 }, () => sendOn(session));
    const refused = Array.from({ length: 8 }, () => sendOn(session, { headers: { ':path': '/' } }));
    const answers = await Promise.all([...reviews, ...refused]);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(8);
  }
});

test.each(['plain HTTP', 'TLS'])(
  'an HTTP/1.1 connection stays idle up to the limit and no longer, over %s',
  async (name) => {
    const secure = name === 'TLS';
    const open = async (idleTimeout: number): Promise<Socket> => {
      const { port } = await startTestServer({
        limits: { idleTimeout },
        ...(secure && { tls: serverTls }),
      });
      const address = { host: '127.0.0.1', port };
      const socket = secure ? connectSecure({ ...address, ca: authority.cert }) : connect(address);
      onTestFinished(() => void socket.destroy());
      await once(socket, secure ? 'secureConnect' : 'connect');
      return socket;
    };
    // Node adds a second to both. The first one has been idle for the longest time, so only its limit can be why it is
    // open.
    const long = await open(20_000);
    expect(await ask(long)).toMatch(/^HTTP\/1.1 200 /);
    const short = await open(20);
    expect(await ask(short)).toMatch(/^HTTP\/1.1 200 /);
    if (!short.destroyed) await once(short, 'close');
    expect(long.readyState).toBe('open');
    expect(await ask(long)).toMatch(/^HTTP\/1.1 200 /);
  },
);

test('a connection may be idle for longer than the 90 s of Go’s client, so that the client closes first', () => {
  expect(connectionLimits.idleTimeout).toBeGreaterThan(90_000);
});

const { maxStreams: streams } = connectionLimits;

test('allows as many resets together as streams, then 33 a second', () => {
  let now = 0;
  const count = createResetCount(streams, () => now);
  const many = (times: number) => Array.from({ length: times }, count);
  expect(many(streams)).not.toContain(false);
  expect(count()).toBe(false);

  now += 2000;
  expect(many(66).filter((isFew) => !isFew).length).toBeLessThanOrEqual(1);
  expect(many(2)).toContain(false);
});

test('a client that resets one now and then never reaches the limit', () => {
  let now = 0;
  const count = createResetCount(streams, () => now);
  const few = Array.from({ length: 10_000 }, () => {
    now += 50;
    return count();
  });
  expect(few).not.toContain(false);
  // It may reset as many together as at first, and no more.
  now += 3_600_000;
  const atOnce = Array.from({ length: streams + 1 }, count);
  expect(atOnce.indexOf(false)).toBe(streams);
});
