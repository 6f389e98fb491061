import { once } from 'node:events';
import { type ClientHttp2Session, constants } from 'node:http2';
import { Agent } from 'node:https';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createTestAuthority, type Pair, type TestAuthority } from '../testing/certificates.ts';
import { openSession, send, sendOn } from '../testing/clients.ts';
import { holdTimers, startTestServer, type TestServer } from '../testing/server.ts';
import { readTlsMaterial, type TlsMaterial } from './tls.ts';

let authority: TestAuthority;
let tls: TlsMaterial;
let apiServer: Pair;
let kubelet: Pair;
let otherKubelet: Pair;
beforeAll(async () => {
  authority = await createTestAuthority();
  const pair = await authority.issue({
    commonName: 'gateway',
    alternativeNames: ['IP.1 = 127.0.0.1'],
  });
  const names = ['kube-apiserver', 'system:node:a', 'system:node:b'];
  const issued = await Promise.all(names.map((commonName) => authority.issue({ commonName })));
  [apiServer, kubelet, otherKubelet] = issued as [Pair, Pair, Pair];
  const client = { caFile: authority.certFile, names: ['kube-apiserver'] };
  tls = await readTlsMaterial({ ...pair, client, minVersion: 'TLSv1.2' });
});
afterAll(() => authority.remove());

const as = ({ cert, key }: Pair) => ({ ca: authority.cert, cert, key });
const open = ({ url }: TestServer, pair: Pair) => openSession(url, as(pair));
const isOpen = (session: ClientHttp2Session) => !session.destroyed && !session.closed;

test('clients of a wrong name have 8 connections together: one more ends the oldest, and each reads its refusal', async () => {
  const server = await startTestServer({ tls });
  const allowed = open(server, apiServer);
  expect((await sendOn(allowed)).status).toBe(200);
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ...as(kubelet) });
  onTestFinished(() => agent.destroy());
  expect((await send(server.url, { agent })).status).toBe(403);
  const [socket] = Object.values(agent.freeSockets).flat();
  const sessions: ClientHttp2Session[] = [];
  for (let count = 0; count < 9; count++) {
    const session = open(server, count % 2 ? kubelet : otherKubelet);
    expect((await sendOn(session)).status).toBe(403);
    sessions.push(session);
  }
  await expect.poll(() => sessions.filter(isOpen)).toEqual(sessions.slice(1));
  await expect.poll(() => socket?.destroyed).toBe(true);
  expect((await sendOn(allowed)).status).toBe(200);
});

test('a client of a wrong name has 4 requests in progress from the beginning, and may send the others again', async () => {
  const server = await startTestServer({ tls });
  const session = open(server, kubelet);
  const ends = Array.from({ length: 20 }, () => {
    const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false });
    return new Promise((resolve) => {
      stream.once('response', (headers) => resolve(headers[':status']));
      stream.once('error', () => resolve(stream.rstCode));
    });
  });
  const codes = await Promise.all(ends);
  expect(codes.filter((code) => code === 403)).toHaveLength(4);
  expect(codes.filter((code) => code === constants.NGHTTP2_REFUSED_STREAM)).toHaveLength(16);
});

test('a client of a wrong name that resets five requests gets no connection for ten seconds, and others do', async () => {
  const server = await startTestServer({ tls });
  const pass = holdTimers();
  const session = openSession(server.url, { ...as(kubelet), settings: { initialWindowSize: 0 } });
  const closed = new Promise((resolve) => session.once('close', resolve));
  for (let count = 0; count < 5 && isOpen(session); count++) {
    const stream = session.request({ ':path': '/' }).on('error', () => undefined);
    await once(stream, 'response');
    // Nothing of the body of the answer fits into the window.
    stream.close(constants.NGHTTP2_CANCEL);
    await new Promise((resolve) => session.ping(resolve));
  }
  await closed;
  await expect(sendOn(open(server, kubelet))).rejects.toThrow();
  await expect(send(server.url, as(kubelet))).rejects.toThrow();
  expect((await send(server.url, as(otherKubelet))).status).toBe(403);
  expect((await sendOn(open(server, apiServer))).status).toBe(200);
  pass(10_000);
  expect((await sendOn(open(server, kubelet))).status).toBe(403);
});
