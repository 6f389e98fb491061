import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor, waitForPromise } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Client,
  type ClientTls,
  get,
  http1Client,
  http2Client,
  review,
} from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { startLoad } from './testing/load.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';

interface Busy extends AsyncDisposable {
  readonly backend: ScriptedBackend;
  readonly gateway: Gateway;
}

let mutualTls: MutualTls;
/** The replica that stays. */
let other: Busy;
beforeAll(async () => {
  mutualTls = await createMutualTls();
  other = await start();
});
afterAll(() => other[Symbol.asyncDispose]());

async function start(server: object = {}): Promise<Busy> {
  const backend = await startScriptedBackend();
  backend.answerOthers(authenticated('ada'));
  const { files, tls } = mutualTls;
  const authenticators = [backend.authenticator('corp', { maxConcurrent: 400, timeout: '29s' })];
  const gateway = await startGateway({
    files,
    config: { server: { tls, reviewTimeout: '30s', ...server }, authenticators },
  });
  return { backend, gateway, [Symbol.asyncDispose]: () => gateway.stop() };
}

const isReady = async (gateway: Gateway): Promise<boolean> =>
  (await get(gateway.adminUrl, '/readyz').catch(() => ({ status: 0 }))).status === 200;

/** Moves to the next replica with the first answer that says `Connection: close`. */
function movingHttp1(urls: () => string, tls: ClientTls): Client {
  const first = http1Client(urls(), tls);
  let next: Client | undefined;
  return {
    send: async (request) => {
      const asked = next ?? first;
      const response = await asked.send(request);
      if (asked === first && response.headers.connection === 'close') {
        next ??= http1Client(urls(), tls);
      }
      return response;
    },
    [Symbol.dispose]: () => {
      first[Symbol.dispose]();
      next?.[Symbol.dispose]();
    },
  };
}

test.concurrent.each([
  { name: 'HTTP/2', createClient: http2Client },
  { name: 'HTTP/1.1', createClient: movingHttp1 },
] as const)(
  'clients over $name that make new connections to another replica once it is not ready lose nothing',
  async ({ createClient }) => {
    await using busy = await start({ shutdownDelay: '100ms' });
    let ready = busy.gateway.url;
    using client = createClient(() => ready, mutualTls.client);
    const load = startLoad(client, 16);
    await waitFor(() => load.answered() > 100, 'the load');
    busy.gateway.signal('SIGTERM');
    ready = other.gateway.url;
    expect(await waitForPromise(busy.gateway.ended, 'the end')).toBe(0);
    const answered = load.answered();
    await waitFor(() => load.answered() > answered + 100, 'reviews of the other replica');
    await load.stop();
    expect(load.problems()).toEqual([]);
  },
);

test('within shutdownDelay it is not ready, and still takes reviews on old connections and new ones', async () => {
  await using busy = await start({ shutdownDelay: '1h' });
  const { gateway } = busy;
  using client = http2Client(gateway.url, mutualTls.client);
  const load = startLoad(client, 16);
  await waitFor(() => load.answered() > 100, 'the load');
  const session = client.session();
  gateway.signal('SIGTERM');
  await waitFor(async () => !(await isReady(gateway)), 'the end of readiness');
  const answered = load.answered();
  await waitFor(() => load.answered() > answered + 50, 'reviews within shutdownDelay');
  for (const createClient of [http2Client, http1Client]) {
    using late = createClient(gateway.url, mutualTls.client);
    const { status, headers } = await late.send({ body: reviewBody(randomToken()) });
    expect([status, headers.connection === 'close']).toEqual([200, false]);
  }
  await load.stop();
  expect(load.problems()).toEqual([]);
  expect(client.session()).toBe(session);
  await gateway.kill();
});

test('a review in progress is answered after SIGTERM, and more signals change nothing', async () => {
  await using busy = await start();
  const { backend, gateway } = busy;
  using overHttp2 = http2Client(gateway.url, mutualTls.client);
  using overHttp1 = http1Client(gateway.url, mutualTls.client);
  const tokens = Array.from({ length: 30 }, randomToken);
  for (const token of tokens) backend.answer(token, { kind: 'hang' });
  const answers = tokens.map((token, index) => review(index % 2 ? overHttp2 : overHttp1, token));
  const calls = await Promise.all(tokens.map((token) => backend.whenAsked(token)));
  for (const signal of ['SIGTERM', 'SIGTERM', 'SIGINT'] as const) gateway.signal(signal);
  await waitFor(async () => !(await isReady(gateway)), 'the end of readiness');
  for (const call of calls) call.settle(authenticated('ada'));
  for (const status of await Promise.all(answers))
    expect(status).toMatchObject({ authenticated: true });
  expect(await waitForPromise(gateway.ended, 'the end')).toBe(0);
});

test('SIGINT ends it without the delay, and a review that outlasts drainTimeout is cut', async () => {
  await using busy = await start({ shutdownDelay: '1h', drainTimeout: '300ms' });
  const { backend, gateway } = busy;
  using client = http2Client(gateway.url, mutualTls.client);
  const token = randomToken();
  backend.answer(token, { kind: 'hang' });
  const cut = expect(review(client, token)).rejects.toThrow();
  await backend.whenAsked(token);
  gateway.signal('SIGINT');
  await cut;
  expect(await waitForPromise(gateway.ended, 'the end')).toBe(0);
});
