import { waitFor, within } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { type Client, type ClientTls, get, http1Client, http2Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { startLoad } from './testing/load.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';
import { randomToken } from './testing/tokens.ts';

interface Busy extends AsyncDisposable {
  readonly backend: ScriptedBackend;
  readonly gateway: Gateway;
  readonly mutualTls: MutualTls;
}

async function start(server: object = {}, shared?: MutualTls): Promise<Busy> {
  const mutualTls = shared ?? (await createMutualTls());
  const backend = await startScriptedBackend();
  backend.answerOthers(authenticated('ada'));
  const { files, tls } = mutualTls;
  const config = {
    server: { tls, ...server },
    authenticators: [backend.authenticator('corp', { maxConcurrent: 400 })],
  };
  const gateway = await startGateway({ files, config });
  return { backend, gateway, mutualTls, [Symbol.asyncDispose]: () => gateway.stop() };
}

const isReady = async (gateway: Gateway): Promise<boolean> =>
  (await get(gateway.adminUrl, '/readyz').catch(() => ({ status: 0 }))).status === 200;

/** The connection of an HTTP/2 client, to see whether it lives on. */
const http2Session = (client: Client): unknown =>
  'session' in client ? (client as ReturnType<typeof http2Client>).session() : undefined;

const kinds = [
  ['HTTP/2', http2Client],
  ['HTTP/1.1', http1Client],
] as const;

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

const movingKinds = [
  ['HTTP/2', http2Client],
  ['HTTP/1.1', movingHttp1],
] as const;

test.concurrent.each(movingKinds)(
  'clients over %s that make new connections to another replica once it is not ready lose nothing',
  async (_name, createClient) => {
    const mutualTls = await createMutualTls();
    await using busy = await start({ shutdownDelay: '100ms' }, mutualTls);
    await using other = await start({}, mutualTls);
    let ready = busy.gateway.url;
    using client = createClient(() => ready, mutualTls.client);
    const load = startLoad(client, 16);
    await waitFor(() => load.answered() > 100, 'the load');
    busy.gateway.signal('SIGTERM');
    ready = other.gateway.url;
    expect(await within(busy.gateway.ended, 'the end')).toBe(0);
    await waitFor(() => other.backend.calls.length > 100, 'reviews of the other replica');
    await load.stop();
    expect(load.problems()).toEqual([]);
  },
);

describe.concurrent.each(kinds)('under load over %s', (_name, createClient) => {
  test('within shutdownDelay it is not ready, and still takes reviews on old connections and new ones', async () => {
    await using busy = await start({ shutdownDelay: '1h' });
    const { gateway, mutualTls } = busy;
    using client = createClient(gateway.url, mutualTls.client);
    const load = startLoad(client, 16);
    await waitFor(() => load.answered() > 100, 'the load');
    const session = http2Session(client);
    gateway.signal('SIGTERM');
    await waitFor(async () => !(await isReady(gateway)), 'the end of readiness');
    const answered = load.answered();
    await waitFor(() => load.answered() > answered + 50, 'reviews within shutdownDelay');
    using late = createClient(gateway.url, mutualTls.client);
    expect(await review(late, randomToken())).toMatchObject({ authenticated: true });
    await load.stop();
    expect(load.problems()).toEqual([]);
    const response = await client.send({ body: reviewBody(randomToken()) });
    expect(response.headers.connection).not.toBe('close');
    expect(http2Session(client)).toBe(session);
    await gateway.kill();
  });

  test('a review in progress is answered after SIGTERM, and twice SIGTERM changes nothing', async () => {
    await using busy = await start();
    const { backend, gateway, mutualTls } = busy;
    using client = createClient(gateway.url, mutualTls.client);
    const tokens = Array.from({ length: 30 }, randomToken);
    for (const token of tokens) {
      backend.answer(token, { kind: 'hang' });
    }
    const answers = tokens.map((token) => review(client, token));
    const calls = await Promise.all(tokens.map((token) => backend.whenAsked(token)));
    gateway.signal('SIGTERM');
    gateway.signal('SIGTERM');
    gateway.signal('SIGINT');
    await waitFor(async () => !(await isReady(gateway)), 'the end of readiness');
    for (const call of calls) {
      call.settle(authenticated('ada'));
    }
    for (const status of await Promise.all(answers)) {
      expect(status).toMatchObject({ authenticated: true });
    }
    expect(await within(gateway.ended, 'the end')).toBe(0);
  });
});

test('SIGINT ends it without the delay, with exit code 0', async () => {
  await using busy = await start({ shutdownDelay: '1h' });
  busy.gateway.signal('SIGINT');
  expect(await within(busy.gateway.ended, 'the end')).toBe(0);
});

test('a review that outlasts drainTimeout is cut, and the exit is on time', async () => {
  await using busy = await start({ drainTimeout: '300ms', reviewTimeout: '9s' });
  const { backend, gateway, mutualTls } = busy;
  using client = http2Client(gateway.url, mutualTls.client);
  const token = randomToken();
  backend.answer(token, { kind: 'hang' });
  const cut = expect(review(client, token)).rejects.toThrow();
  await backend.whenAsked(token);
  gateway.signal('SIGTERM');
  await cut;
  expect(await within(gateway.ended, 'the end')).toBe(0);
});
