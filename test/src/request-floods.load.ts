import http2 from 'node:http2';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor, waitForPromise } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http2Client, review } from './testing/clients.ts';
import { podGrowth, podHeap } from './testing/deployed.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import { residentMemory } from './testing/process-memory.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';
import { reviewBody, reviewHeaders, reviewPath } from './testing/token-review.ts';

let backend: ScriptedBackend;
let gateway: Gateway;
let mutualTls: MutualTls;

beforeAll(async () => {
  mutualTls = await createMutualTls();
  backend = await startScriptedBackend();
  const { files, tls } = mutualTls;
  gateway = await startGateway({
    files,
    env: { NODE_OPTIONS: await podHeap() },
    config: { server: { tls }, authenticators: [backend.authenticator('corp')] },
  });
});

afterAll(() => gateway.stop());

/** Measures the milliseconds until another client, on a connection of its own, is answered. */
async function expectServed(): Promise<number> {
  using client = http2Client(gateway.url, mutualTls.client);
  const token = randomToken();
  backend.answer(token, authenticated('ada'));
  const begin = performance.now();
  expect(await review(client, token)).toMatchObject({ user: { username: 'ada' } });
  return performance.now() - begin;
}

function connect(): http2.ClientHttp2Session {
  const { authority: ca, certificate: cert, key } = mutualTls.client;
  return http2.connect(gateway.url, { ca, cert, key }).on('error', () => {});
}

const head = { ...reviewHeaders, ':method': 'POST', ':path': reviewPath };

test('a client that resets streams as fast as it opens them costs little memory, and others hardly wait', async () => {
  const [before, usual] = [await residentMemory(gateway.pid), await expectServed()];
  backend.answerOthers({ kind: 'hang' });
  const session = connect();
  await waitForPromise(
    new Promise((resolve) => session.once('connect', resolve)),
    'an HTTP/2 connection',
  );
  const ended = new Promise((resolve) => session.once('close', resolve));
  const body = reviewBody(randomToken());
  const served = expectServed();
  for (let opened = 0; opened < 20_000 && !session.destroyed && !session.closed; opened++) {
    const stream = session.request(head).on('error', () => {});
    stream.end(body);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    if (opened % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
  }
  await waitForPromise(ended, 'the end of the session by the gateway');
  backend.answerOthers({ kind: 'no-opinion' });
  const [waited, grown] = [await served, (await residentMemory(gateway.pid)) - before];
  console.info(
    `another client waited ${waited.toFixed()} ms, usually ${usual.toFixed()} ms; ${grown.toFixed()} MiB more`,
  );
  // The limit is a second on a machine where a review takes a few milliseconds.
  expect(waited).toBeLessThan(5000 + 100 * usual);
  expect(grown).toBeLessThan(await podGrowth());
});

/** Sends the beginnings of bodies on sessions. @returns their answers so far */
async function sendBeginnings(
  sessions: number,
  streams: number,
  body: string,
): Promise<Disposable & { readonly answers: (number | undefined)[] }> {
  const opened = Array.from({ length: sessions }, () => connect());
  const answers: (number | undefined)[] = [];
  for (const session of opened) {
    const sent = Array.from({ length: streams }, () => {
      const index = answers.push(undefined) - 1;
      const stream = session.request(head).on('error', () => {});
      stream.on('response', (headers) => (answers[index] = headers[':status'])).resume();
      return new Promise((resolve) => stream.write(body, resolve));
    });
    await waitForPromise(Promise.all(sent), 'the beginnings of bodies to be sent');
    // Everything before it has been read when it is answered.
    await waitForPromise(new Promise((resolve) => session.ping(resolve)), 'a ping');
  }
  return {
    answers,
    [Symbol.dispose]: () => {
      for (const session of opened) {
        session.destroy();
      }
    },
  };
}

test('unfinished bodies use a bounded amount of memory: the oldest are refused', async () => {
  const before = await residentMemory(gateway.pid);
  const body = `{"padding":"${'x'.repeat(250 * 1024)}`;
  const maxBodies = Math.floor((16 * 1024 * 1024) / body.length);
  const start = performance.now();
  using beginnings = await sendBeginnings(3, 120, body);
  const { answers } = beginnings;
  await waitFor(
    () => answers.filter((answer) => answer === undefined).length <= maxBodies,
    'the refusals',
  );
  const seconds = (performance.now() - start) / 1000;
  const refused = answers.filter((answer) => answer === 429).length;
  const grown = (await residentMemory(gateway.pid)) - before;
  console.info(`${refused} of ${answers.length} refused, ${Math.round(grown)} MB more`);
  await expectServed();
  expect(grown).toBeLessThan(await podGrowth());
  // After 10 s on a busy machine it is too late for all of them.
  if (seconds < 10) {
    expect(refused).toBeLessThan(answers.length - maxBodies + 10);
    expect(answers.slice(0, refused).every((answer) => answer === 429)).toBe(true);
  }
});
