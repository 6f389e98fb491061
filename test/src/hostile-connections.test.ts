import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Client, http1Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { openRawSocket, type RawSocket, rawRequest } from './testing/raw-socket.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';
import { randomToken } from './testing/tokens.ts';

/** Lookups at one time; of reviews the gateway under test takes one more, the least that it may. */
const maxConcurrent = 400;
/** Of tokens that were never good before. */
const lookups = (maxConcurrent * 3) / 4;

let backend: ScriptedBackend;
let gateway: Gateway;
let client: Client;

beforeAll(async () => {
  backend = await startScriptedBackend();
  const authenticators = [backend.authenticator('corp', { maxConcurrent })];
  gateway = await startGateway({ config: { server: { maxInFlight: maxConcurrent + 1 }, authenticators } });
  client = http1Client(gateway.url);
});

afterEach(async () => {
  expect(await review(client, ada())).toMatchObject({ user: { username: 'ada' } });
  expect(gateway.output.lines.filter((line) => /bug|uncaught|unhandled/i.test(line.msg))).toEqual([]);
});

afterAll(async () => {
  client[Symbol.dispose]();
  await gateway.stop();
});

/** A token of its own that the backend knows as ada's. */
function ada(): string {
  const token = randomToken();
  backend.answer(token, authenticated('ada'));
  return token;
}

/**
 * Takes every slot for a lookup at once, with callers that close the connection during it.
 *
 * @returns false when another caller still held a slot
 */
async function takeAllSlots(): Promise<boolean> {
  const tokens = Array.from({ length: lookups }, () => randomToken());
  const raws = await Promise.all(tokens.map(() => openRawSocket(gateway.url)));
  let refused = 0;
  for (const [index, token] of tokens.entries()) {
    backend.answer(token, { kind: 'hang' });
    raws[index]?.socket.once('data', () => refused++);
    raws[index]?.send(rawRequest(reviewBody(token)));
  }
  const asked = (): typeof backend.calls => {
    const own = new Set(tokens);
    return backend.calls.filter((call) => own.has(call.token));
  };
  await waitFor(() => asked().length + refused === lookups, 'a lookup or a refusal for each caller');
  for (const raw of raws) {
    raw.socket.resetAndDestroy();
  }
  await waitFor(() => asked().every((call) => call.aborted), 'the abort of every lookup');
  return refused === 0;
}

const refusedHeads: readonly [string, string, RegExp][] = [
  ['two lengths', 'content-length: 5\r\ncontent-length: 6', /^HTTP\/1\.1 400 /],
  ['two lengths of one value each in a list', 'content-length: 5, 6', /^HTTP\/1\.1 400 /],
  ['a length and chunks', 'content-length: 5\r\ntransfer-encoding: chunked', /^HTTP\/1\.1 400 /],
  ['a length below zero', 'content-length: -1', /^HTTP\/1\.1 400 /],
  ['a length that is no number', 'content-length: 0x10', /^HTTP\/1\.1 400 /],
  ['another transfer coding', 'transfer-encoding: gzip', /^HTTP\/1\.1 (400|501) /],
  ['a header without a colon', 'nonsense', /^HTTP\/1\.1 400 /],
  ['a folded header', 'content-length: 5\r\n x', /^HTTP\/1\.1 400 /],
  ['headers of 100 KiB', `x-padding: ${'x'.repeat(100 * 1024)}`, /^HTTP\/1\.1 431 /],
  ['ten thousand headers', 'x: y\r\n'.repeat(10_000).trimEnd(), /^HTTP\/1\.1 (400|431) /],
];

test.each(refusedHeads)('%s are refused and the connection ends', async (_name, head, answer) => {
  using raw = await openRawSocket(gateway.url);
  raw.send(`POST /authenticate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${head}\r\n\r\nhello`);
  expect(await raw.closed()).toMatch(answer);
});

test.each([
  ['random bytes', Buffer.from(Array.from({ length: 2000 }, (_, index) => (index * 7919) % 256))],
  ['a TLS hello', Buffer.from('16030100050100000100', 'hex')],
  ['the HTTP/2 preface', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
  ['HTTP/0.9', Buffer.from('POST /authenticate\r\n\r\n')],
  ['an unknown method', Buffer.from('STEAL /authenticate HTTP/1.1\r\nhost: a\r\n\r\n')],
  ['CONNECT', Buffer.from('CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: a\r\n\r\n')],
])('%s in place of a request ends the connection', async (_name, bytes) => {
  using raw = await openRawSocket(gateway.url);
  raw.send(bytes);
  expect(await raw.closed()).not.toMatch(/^HTTP\/1\.1 [25]/);
});

test.each([
  ['an absolute URL of another host', 'http://evil.example.com/authenticate', 200],
  ['a path that climbs', '/x/../authenticate', 404],
  ['an escaped path', '/%61uthenticate', 404],
  ['an escape that is none', '/%zz', 404],
  ['an escaped zero byte', '/authenticate%00', 404],
  ['two slashes', '//authenticate', 404],
  ['a star', '*', 404],
])('%s as the target is answered and no bug', async (_name, target, code) => {
  using raw = await openRawSocket(gateway.url);
  raw.send(rawRequest(reviewBody(ada())).toString().replace('/authenticate', target));
  expect(await raw.received(/\r\n\r\n/)).toMatch(new RegExp(`^HTTP/1\\.1 ${code} `));
});

test('pipelined reviews are all answered, in their order', async () => {
  using raw = await openRawSocket(gateway.url);
  const names = Array.from({ length: 50 }, (_, index) => `user-${index}`);
  const requests = names.map((name) => {
    const token = randomToken();
    backend.answer(token, authenticated(name));
    return rawRequest(reviewBody(token));
  });
  raw.send(Buffer.concat(requests));
  const text = await raw.received(/user-49"/);
  expect([...text.matchAll(/"username":"(user-\d+)"/g)].map((match) => match[1])).toEqual(names);
});

test('a pipelined request behind a refused one is not read as part of its body', async () => {
  using raw = await openRawSocket(gateway.url);
  const token = ada();
  raw.send(Buffer.concat([rawRequest('not JSON at all'), rawRequest(reviewBody(token))]));
  const text = await raw.received(/"username":"ada"/);
  expect(text).toMatch(/^HTTP\/1\.1 400 /);
});

test('a request smuggled in the body of another is a body', async () => {
  using raw = await openRawSocket(gateway.url);
  const token = ada();
  raw.send(rawRequest(rawRequest(reviewBody(token))));
  expect(await raw.received(/\r\n\r\n.*\}/s)).toMatch(/^HTTP\/1\.1 400 /);
  expect(backend.callsOf(token)).toEqual([]);
});

test('a length of a terabyte is answered 413 before its body', async () => {
  using raw = await openRawSocket(gateway.url);
  raw.send(
    'POST /authenticate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1099511627776\r\n\r\n',
  );
  expect(await raw.received(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 413 /);
});

test('chunks without end are answered 413', async () => {
  using raw = await openRawSocket(gateway.url);
  raw.send(
    'POST /authenticate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
  );
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
  for (let sent = 0; sent < 10; sent++) {
    raw.send(chunk);
  }
  expect(await raw.received(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 413 /);
});

test('a client that waits for 100-continue is served', async () => {
  using raw = await openRawSocket(gateway.url);
  const request = rawRequest(reviewBody(ada()), { expect: '100-continue' }).toString();
  const [head = '', body = ''] = request.split('\r\n\r\n');
  raw.send(`${head}\r\n\r\n`);
  await raw.received(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
  raw.send(body);
  await raw.received(/"username":"ada"/);
});

test('bodies that never end, more than maxInFlight, do not delay other reviews', async () => {
  const half = rawRequest(reviewBody(randomToken()));
  const openSlow = async (): Promise<RawSocket> => {
    const raw = await openRawSocket(gateway.url);
    raw.send(half.subarray(0, half.length - 5));
    return raw;
  };
  // Fewer than the connections that may be new at one time.
  const slow = await Promise.all(Array.from({ length: maxConcurrent + 50 }, openSlow));
  for (let time = 0; time < 20; time++) {
    expect(await review(client, ada())).toMatchObject({ authenticated: true });
  }
  // They do not count in maxInFlight.
  await waitFor(takeAllSlots, 'as many lookups as the gateway takes');
  for (const raw of slow) {
    expect(raw.socket.destroyed).toBe(false);
    raw[Symbol.dispose]();
  }
});

test('a caller that goes in mid-lookup aborts it', async () => {
  const token = randomToken();
  backend.answer(token, { kind: 'hang' });
  using raw = await openRawSocket(gateway.url);
  raw.send(rawRequest(reviewBody(token)));
  const call = await backend.whenAsked(token);
  raw.socket.destroy();
  await waitFor(() => call.aborted, 'the abort of the lookup');
});

test('callers that go in mid-lookup, hundreds at once, leave room for as many', async () => {
  await waitFor(takeAllSlots, 'every place');
  await waitFor(takeAllSlots, 'every place again');
});
