import { once } from 'node:events';
import http2 from 'node:http2';
import tls from 'node:tls';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor, waitForPromise } from '@sallyport/test-servers/wait-for';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type ClientTls, http2Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import {
  cancelled,
  preface,
  requestBegun,
  reviewBegun,
  reviewData,
} from './testing/http2-frames.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import type { LogLine } from './testing/output.ts';
import { openRawSocket } from './testing/raw-socket.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';
import { reviewBody, reviewHeaders, reviewPath } from './testing/token-review.ts';

let backend: ScriptedBackend;
let gateway: Gateway;
let mutualTls: MutualTls;
/** A client certificate of the right CA, whose name is not in clientNames. */
let kubelet: ClientTls;
/** Another, which gets no connection for a while when it has misused one. */
let otherKubelet: ClientTls;

beforeAll(async () => {
  mutualTls = await createMutualTls();
  kubelet = mutualTls.clientWith(await mutualTls.clientAuthority.issueClient('system:node:a'));
  otherKubelet = mutualTls.clientWith(await mutualTls.clientAuthority.issueClient('system:node:b'));
  backend = await startScriptedBackend();
  const { files } = mutualTls;
  // No lookup reaches its deadline.
  const server = { tls: mutualTls.tls, reviewTimeout: '30s' };
  const authenticators = [backend.authenticator('corp', { timeout: '29s' })];
  gateway = await startGateway({ files, config: { server, authenticators } });
});

afterEach(async () => {
  await expectServed();
  expect(gateway.output.lines.filter((line) => /bug|uncaught|unhandled/i.test(line.msg))).toEqual(
    [],
  );
});

afterAll(() => gateway.stop());

/** Expects that another client, on a connection of its own, is answered. */
async function expectServed(): Promise<void> {
  using client = http2Client(gateway.url, mutualTls.client);
  const token = randomToken();
  backend.answer(token, authenticated('ada'));
  expect(await review(client, token)).toMatchObject({ user: { username: 'ada' } });
}

function connect(client: ClientTls): http2.ClientHttp2Session {
  const { authority: ca, certificate: cert, key } = client;
  return http2.connect(gateway.url, { ca, cert, key }).on('error', () => {});
}

const head = { ...reviewHeaders, ':method': 'POST', ':path': reviewPath };

test.each([
  {
    name: 'with their bodies',
    bodyOf: (id: number, token: string) => reviewData(id, reviewBody(token)),
  },
  { name: 'before their bodies', bodyOf: () => Buffer.alloc(0) },
])(
  'reviews that are reset $name the moment they begin end that session, and leave no lookup',
  async ({ bodyOf }) => {
    const { authority: ca, certificate: cert, key } = mutualTls.client;
    const { hostname: host, port } = new URL(gateway.url);
    backend.answerOthers({ kind: 'hang' });
    const attacker = tls.connect({
      host,
      port: Number(port),
      ca,
      cert,
      key,
      ALPNProtocols: ['h2'],
    });
    attacker.on('error', () => {}).resume();
    await waitForPromise(once(attacker, 'secureConnect'), 'an HTTP/2 connection');
    const ended = new Promise((resolve) => attacker.once('close', resolve));
    const from = { line: gateway.output.lines.length, call: backend.calls.length };
    const attempts = 3000;
    const tokens = new Set(Array.from({ length: attempts }, () => randomToken()));
    const frames = [...tokens].flatMap((token, index) => {
      const id = 2 * index + 1;
      return [reviewBegun(id), bodyOf(id, token), cancelled(id)];
    });
    attacker.write(Buffer.concat([preface, ...frames]));
    await waitForPromise(ended, 'the end of the session by the gateway');
    await expectServed();
    backend.answerOthers({ kind: 'no-opinion' });
    const since = () => gateway.output.lines.slice(from.line);
    const isReset = ({ msg, callerGone }: LogLine): boolean =>
      msg === 'token review' && callerGone === true;
    // The gateway hears of resets after the requests that it read with them: 250 to 600 begin, 2,400 did without a limit.
    await waitFor(() => since().filter(isReset).length >= 250, 'the lines of those that began');
    expect(since().filter(isReset).length).toBeLessThan(attempts / 2);
    const lookups = () => backend.calls.slice(from.call).filter(({ token }) => tokens.has(token));
    await waitFor(() => lookups().every((call) => call.aborted), 'the abort of every lookup');
  },
);

test('well over a hundred reviews of one session that are given up within a second are no attack', async () => {
  backend.answerOthers({ kind: 'hang' });
  const session = connect(mutualTls.client);
  for (let time = 0; time < 2; time++) {
    // An authenticator looks up this number of tokens concurrently that were never accepted before.
    const tokens = Array.from({ length: 75 }, () => randomToken());
    const streams = tokens.map((token) => {
      const stream = session.request(head).on('error', () => {});
      stream.end(reviewBody(token));
      return stream;
    });
    const calls = await Promise.all(tokens.map((token) => backend.whenAsked(token)));
    for (const stream of streams) {
      stream.close(http2.constants.NGHTTP2_CANCEL);
    }
    await waitFor(() => calls.every((call) => call.aborted), 'the abort of every lookup');
  }
  backend.answerOthers({ kind: 'no-opinion' });
  expect(session.destroyed || session.closed).toBe(false);
  session.destroy();
});

const answersIn = (text: string): number => text.split('HTTP/1.1 ').length - 1;

/** Pipelines requests. @returns all answers until the gateway ended the connection */
async function pipelined(tls: ClientTls): Promise<string> {
  using raw = await openRawSocket(gateway.url, tls);
  raw.send('GET /authenticate HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(200));
  return await raw.closed();
}

test.each([
  { name: 'a client with a wrong name', tls: () => kubelet },
  { name: 'a client that may ask', tls: () => mutualTls.client },
])('200 pipelined requests of $name end the connection', async ({ tls }) => {
  expect(answersIn(await pipelined(tls()))).toBeLessThanOrEqual(4);
});

test.each([
  { name: 'a client with a wrong name', client: () => otherKubelet },
  { name: 'a client that may ask', client: () => mutualTls.client },
])(
  '300 refused requests of $name that are reset before they can be read end the connection',
  async ({ client }) => {
    using raw = await openRawSocket(gateway.url, client(), 'h2');
    const frames = Array.from({ length: 300 }, (_, index) => {
      const head = { ':method': 'GET', ':scheme': 'https', ':path': '/', ':authority': 'a' };
      return [requestBegun(2 * index + 1, head), cancelled(2 * index + 1)];
    });
    raw.send(Buffer.concat([preface, ...frames.flat()]));
    await raw.closed();
  },
);

test('of 100 concurrent requests over HTTP/2 a client with a wrong name gets few answers, and may try the others again', async () => {
  // Go's client sends this number before it knows the setting.
  const times = 100;
  const session = connect(kubelet);
  await waitForPromise(
    new Promise((resolve) => session.once('connect', resolve)),
    'an HTTP/2 connection',
  );
  const ends = Array.from({ length: times }, () => {
    const stream = session.request(head).on('error', () => {});
    stream.end(reviewBody(randomToken()));
    return new Promise<string>((resolve) => {
      stream.on('response', (headers) => resolve(`answer ${headers[':status']}`)).resume();
      stream.on('close', () => resolve(`reset ${stream.rstCode}`));
    });
  });
  const found = Object.groupBy(
    await waitForPromise(Promise.all(ends), 'the end of each request'),
    (end) => end,
  );
  session.destroy();
  const {
    'answer 403': answered = [],
    [`reset ${http2.constants.NGHTTP2_REFUSED_STREAM}`]: refused = [],
  } = found;
  expect(answered.length + refused.length).toBe(times);
  expect(answered.length).toBeGreaterThan(0);
  // Those of a later read find the first ones answered.
  expect(answered.length).toBeLessThan(times / 2);
});

test('a ninth connection of clients with a wrong name ends the oldest, and each reads why', async () => {
  const sessions: http2.ClientHttp2Session[] = [];
  for (let count = 0; count < 9; count++) {
    const session = connect(kubelet);
    sessions.push(session);
    const stream = session.request(head).on('error', () => {});
    const answered = once(stream, 'response');
    stream.resume().end(reviewBody(randomToken()));
    const [headers] = await waitForPromise(answered, 'the refusal');
    expect(headers[':status']).toBe(403);
  }
  await waitFor(() => sessions[0]?.destroyed === true, 'the end of the oldest');
  expect(sessions.slice(1).filter(({ destroyed }) => destroyed)).toEqual([]);
  for (const session of sessions) session.destroy();
});
