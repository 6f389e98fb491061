import http2 from 'node:http2';
import { within } from '@sallyport/test-servers/wait-for';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type ClientTls, http1Client, http2Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import { openRawSocket } from './testing/raw-socket.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { reviewBody, reviewHeaders, reviewPath } from './testing/token-review.ts';
import { randomToken } from './testing/tokens.ts';

let backend: ScriptedBackend;
let gateway: Gateway;
let mutualTls: MutualTls;
/** Its certificate is of the right CA, and it may not ask. */
let kubelet: ClientTls;

beforeAll(async () => {
  mutualTls = await createMutualTls();
  kubelet = mutualTls.clientWith(await mutualTls.clientAuthority.issueClient('system:node:a'));
  backend = await startScriptedBackend();
  backend.answerOthers(authenticated('ada'));
  const { files, tls } = mutualTls;
  gateway = await startGateway({ files, config: { server: { tls }, authenticators: [backend.authenticator('corp')] } });
});

afterAll(() => gateway.stop());

afterEach(async () => {
  using client = http2Client(gateway.url, mutualTls.client);
  expect(await review(client, randomToken())).toMatchObject({ user: { username: 'ada' } });
  expect(gateway.output.lines.filter((line) => /bug|uncaught|unhandled/i.test(line.msg))).toEqual([]);
});

const times = 200;
const answersIn = (text: string): number => text.split('HTTP/1.1 ').length - 1;

/** Pipelines requests, and gives all that was sent back until the gateway ended the connection. */
async function pipelined(tls: ClientTls): Promise<string> {
  using raw = await openRawSocket(gateway.url, tls);
  raw.send('GET /authenticate HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(times));
  return await raw.closed();
}

test.each([
  ['a client with a wrong name', () => kubelet, 4],
  ['a client that may ask', () => mutualTls.client, 64],
])('200 pipelined requests of %s end the connection', async (_name, tls, most) => {
  expect(answersIn(await pipelined(tls()))).toBeLessThanOrEqual(most);
});

test('of 200 requests at once over HTTP/2 a client with a wrong name gets few answers, and may try the others again', async () => {
  const { authority: ca, certificate: cert, key } = kubelet;
  const session = http2.connect(gateway.url, { ca, cert, key }).on('error', () => {});
  await within(new Promise((resolve) => session.once('connect', resolve)), 'an HTTP/2 connection');
  const ends = Array.from({ length: times }, () => {
    const stream = session.request({ ...reviewHeaders, ':method': 'POST', ':path': reviewPath }).on('error', () => {});
    stream.end(reviewBody(randomToken()));
    return new Promise<string>((resolve) => {
      stream.on('response', (headers) => resolve(`answer ${headers[':status']}`)).resume();
      stream.on('close', () => resolve(`reset ${stream.rstCode}`));
    });
  });
  const found = Object.groupBy(await within(Promise.all(ends), 'the end of each request'), (end) => end);
  session.destroy();
  const { 'answer 403': answered = [], [`reset ${http2.constants.NGHTTP2_REFUSED_STREAM}`]: refused = [] } = found;
  expect(answered.length + refused.length).toBe(times);
  expect(answered.length).toBeGreaterThan(0);
  // Those that came in the first of a few reads.
  expect(answered.length).toBeLessThan(times / 4);
});

test.each([
  ['HTTP/2', http2Client],
  ['HTTP/1.1', http1Client],
] as const)(
  'a client with a wrong name that asks once at a time always gets the reason, over %s',
  async (_name, create) => {
    using client = create(gateway.url, kubelet);
    for (let time = 0; time < 20; time++) {
      const { status, text } = await client.send({ body: reviewBody(randomToken()) });
      expect([status, JSON.parse(text).message]).toEqual([403, expect.stringContaining('server.tls.clientNames')]);
    }
  },
);
