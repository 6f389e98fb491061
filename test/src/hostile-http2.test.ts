import http2 from 'node:http2';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { http2Client, review } from './fixtures/clients.ts';
import { type Gateway, startGateway } from './fixtures/gateway.ts';
import { createMutualTls, type MutualTls } from './fixtures/mutual-tls.ts';
import { residentMemory } from './fixtures/process-memory.ts';
import { openRawSocket } from './fixtures/raw-socket.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './fixtures/scripted-backend.ts';
import { reviewBody, reviewHeaders, reviewPath } from './fixtures/token-review.ts';
import { randomToken } from './fixtures/tokens.ts';
import { waitFor, within } from './fixtures/wait-for.ts';

let backend: ScriptedBackend;
let gateway: Gateway;
let mutualTls: MutualTls;

beforeAll(async () => {
  mutualTls = await createMutualTls();
  backend = await startScriptedBackend();
  const { files, tls } = mutualTls;
  gateway = await startGateway({ files, config: { server: { tls }, authenticators: [backend.authenticator('corp')] } });
});

afterEach(async () => {
  await expectServed();
  expect(gateway.output.lines.filter((line) => /bug|uncaught|unhandled/i.test(line.msg))).toEqual([]);
});

afterAll(() => gateway.stop());

/** Another client, on a connection of its own, is answered. */
async function expectServed(): Promise<void> {
  using client = http2Client(gateway.url, mutualTls.client);
  const token = randomToken();
  backend.answer(token, authenticated('ada'));
  expect(await review(client, token)).toMatchObject({ user: { username: 'ada' } });
}

function connect(options: http2.SecureClientSessionOptions = {}): http2.ClientHttp2Session {
  const { authority: ca, certificate: cert, key } = mutualTls.client;
  return http2.connect(gateway.url, { ca, cert, key, ...options }).on('error', () => {});
}

const head = { ...reviewHeaders, ':method': 'POST', ':path': reviewPath };

test('a client that resets streams as fast as it opens them is cut off, leaves no lookup behind, and memory stays bounded', async () => {
  const before = await residentMemory(gateway.pid);
  backend.answerOthers({ kind: 'hang' });
  const session = connect();
  await within(new Promise((resolve) => session.once('connect', resolve)), 'an HTTP/2 connection');
  const ended = new Promise((resolve) => session.once('close', resolve));
  const token = randomToken();
  const body = reviewBody(token);
  // One lookup is under way before the resets begin: whatever comes of those, there is one to abort.
  session
    .request(head)
    .on('error', () => {})
    .end(body);
  await backend.whenAsked(token);
  for (let opened = 0; opened < 20_000 && !session.destroyed && !session.closed; opened++) {
    const stream = session.request(head).on('error', () => {});
    stream.end(body);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    if (opened % 100 === 99) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  // Not destroyed by this side: it is the gateway that ends it.
  await within(ended, 'the end of the session by the gateway');
  expect(backend.callsOf(token).length).toBeGreaterThan(0);
  await waitFor(() => backend.callsOf(token).every((call) => call.aborted), 'the abort of every lookup');
  backend.answerOthers({ kind: 'no-opinion' });
  expect((await residentMemory(gateway.pid)) - before).toBeLessThan(200);
});

test('the streams of one connection are bounded', async () => {
  const session = connect();
  await within(new Promise((resolve) => session.once('remoteSettings', resolve)), 'the settings');
  expect(session.remoteSettings.maxConcurrentStreams).toBeLessThanOrEqual(1000);
  session.destroy();
});

test('headers without end are refused', async () => {
  const session = connect({ maxSendHeaderBlockLength: 1024 * 1024 });
  const padding = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [`x-padding-${index}`, 'x'.repeat(1000)]),
  );
  const stream = session.request({ ...head, ...padding });
  const end = await within(
    new Promise((resolve) => {
      stream.on('response', (headers) => resolve(headers[':status']));
      stream.on('error', () => resolve('reset'));
      session.on('close', () => resolve('closed'));
      stream.end(reviewBody(randomToken()));
    }),
    'the end of the request',
  );
  expect(['reset', 'closed', 400, 431]).toContain(end);
  session.destroy();
});

test('a stream of spaces is answered 413, and the session lives on', async () => {
  const session = connect();
  const stream = session.request(head).on('error', () => {});
  const status = new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])));
  const spaces = Buffer.alloc(64 * 1024, ' ');
  for (let sent = 0; sent < 10; sent++) {
    stream.write(spaces);
  }
  expect(await within(status, 'an answer')).toBe(413);
  const ping = new Promise((resolve) => session.ping((error) => resolve(error)));
  expect(await within(ping, 'a ping')).toBeNull();
  session.destroy();
});

test('a session that goes in mid-lookup aborts its lookups', async () => {
  const tokens = Array.from({ length: 20 }, () => randomToken());
  const session = connect();
  for (const token of tokens) {
    backend.answer(token, { kind: 'hang' });
    session
      .request(head)
      .on('error', () => {})
      .end(reviewBody(token));
  }
  const calls = await Promise.all(tokens.map((token) => backend.whenAsked(token)));
  session.destroy();
  await waitFor(() => calls.every((call) => call.aborted), 'the abort of every lookup');
});

test.each([
  ['HTTP in clear', Buffer.from('POST /authenticate HTTP/1.1\r\nhost: a\r\n\r\n'), 'closed'],
  ['zeros', Buffer.alloc(4000), 'closed'],
  ['half a hello', Buffer.from('160301020001', 'hex'), 'waited for'],
])('%s on the TLS port holds up nobody', async (_name, bytes, fate) => {
  using raw = await openRawSocket(gateway.url.replace('https:', 'http:'));
  raw.send(bytes);
  if (fate === 'closed') {
    await raw.closed();
  }
  await expectServed();
  // The others were served while this one was still there.
  expect(raw.socket.destroyed).toBe(fate === 'closed');
});
