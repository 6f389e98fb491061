import { awkwardToken, randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClientTls, http2Client } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import {
  buildGoClient,
  type GoAnswer,
  type GoClient,
  type GoRequest,
} from './testing/go-client.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';
import { apiVersion, reviewBody } from './testing/token-review.ts';

const protocols = ['HTTP/1.1', 'HTTP/2'] as const;
type Protocol = (typeof protocols)[number];
const mebibyte = 1024 * 1024;
/** A size over the `maxBodySize` of these gateways. */
const big = 5 * mebibyte;

let go: GoClient;
let backend: ScriptedBackend;
let mutualTls: MutualTls;
/** A client certificate of the right CA, whose name is not in clientNames. */
let kubelet: ClientTls;
let gateway: Gateway;

const user = {
  username: 'ada',
  uid: '7',
  groups: ['ops'],
  extra: { 'example.com/team': ['a', 'b'] },
};
const isUser = { authenticated: true, user };

beforeAll(async () => {
  [go, backend, mutualTls] = await Promise.all([
    buildGoClient(),
    startScriptedBackend(),
    createMutualTls(),
  ]);
  kubelet = mutualTls.clientWith(await mutualTls.clientAuthority.issueClient('system:node:a'));
  const { files, tls } = mutualTls;
  const corp = backend.authenticator('corp', { circuit: { minimumCalls: 1000 } });
  gateway = await startGateway({
    files,
    config: { server: { tls, maxBodySize: '1MiB' }, authenticators: [corp] },
  });
});

afterAll(async () => {
  await gateway.stop();
});

/** Makes the body of a review that the backend answers with this user. */
function ada(): string {
  const token = randomToken();
  backend.answer(token, authenticated('ada'));
  return reviewBody(token);
}

const whole = (body: string): GoRequest => ({ body, length: Buffer.byteLength(body) });

function expectStatus(
  answer: GoAnswer,
  protocol: Protocol,
  code: number,
  reason: string,
  message: RegExp,
): void {
  expect(answer).toMatchObject({
    error: '',
    status: code,
    protocol: protocol === 'HTTP/2' ? 'HTTP/2.0' : protocol,
  });
  expect(answer.headers).not.toHaveProperty('Retry-After');
  expect(JSON.parse(answer.body)).toMatchObject({
    kind: 'Status',
    code,
    reason,
    message: expect.stringMatching(message),
  });
}

/** The rows with errors of the table of what kube-apiserver gets. The whole body is sent together. */
const rows: readonly {
  name: string;
  request: () => GoRequest;
  code: number;
  reason: string;
  message: RegExp;
}[] = [
  {
    name: 'a body that is not JSON',
    request: () => whole('{"kind":'),
    code: 400,
    reason: 'BadRequest',
    message: /JSON/,
  },
  {
    name: 'another path',
    request: () => ({ ...whole(ada()), path: '/' }),
    code: 404,
    reason: 'NotFound',
    message: /^not found: token reviews go to POST \/authenticate, and /,
  },
  {
    name: 'another method',
    request: () => ({ ...whole(ada()), method: 'PUT' }),
    code: 405,
    reason: 'MethodNotAllowed',
    message: /POST/,
  },
  {
    name: 'another content type',
    request: () => ({ ...whole(ada()), headers: { 'content-type': 'text/plain' } }),
    code: 415,
    reason: 'UnsupportedMediaType',
    message: /Content-Type/,
  },
  {
    name: 'a body over maxBodySize',
    request: () => ({ body: ada(), padding: big }),
    code: 413,
    reason: 'RequestEntityTooLarge',
    message: /maxBodySize/,
  },
  {
    name: 'a length over maxBodySize',
    request: () => ({ padding: big, length: big }),
    code: 413,
    reason: 'RequestEntityTooLarge',
    message: /at most 1048576 bytes/,
  },
];

/** The ways in which a body is not complete yet when the answer comes. */
const unfinished: readonly { name: string; body: GoRequest }[] = [
  { name: 'that ends late', body: { padding: big } },
  { name: 'of a known length that ends late', body: { padding: big, length: big } },
  { name: 'that never ends', body: { rest: 'endless' } },
  { name: 'that comes a byte at a time', body: { rest: 'trickles' } },
  { name: 'of which nothing more comes', body: { rest: 'waits' } },
];

test("Go's client that speaks plain HTTP gets a message, and so does the gateway's log", async () => {
  const url = gateway.url.replace('https:', 'http:');
  const answer = await go.send(url, whole(ada()), 'HTTP/1.1');
  expectStatus(answer, 'HTTP/1.1', 400, 'BadRequest', /use https:\/\/ in the URL$/);
  await gateway.waitForLog('client speaks plain HTTP to a TLS port: use https:// there');
});

describe.concurrent.each(protocols)("Go's client over %s gets", (protocol) => {
  const send = (request: GoRequest, tls: ClientTls = mutualTls.client): Promise<GoAnswer> =>
    go.send(gateway.url, request, protocol, tls);

  test.each([
    {
      name: 'a user',
      version: 'v1',
      decision: { kind: 'authenticated', user, audiences: ['api', 'b'] },
      status: { ...isUser, audiences: ['api'] },
    },
    {
      name: 'a user',
      version: 'v1beta1',
      decision: { kind: 'authenticated', user },
      status: isUser,
    },
    {
      name: 'a refusal',
      version: 'v1',
      decision: { kind: 'rejected', reason: 'revoked' },
      status: { authenticated: false },
    },
    {
      name: 'an outage of the backend',
      version: 'v1',
      decision: { kind: 'throw', code: 'unavailable' },
      status: { authenticated: false, error: 'authenticator corp unavailable' },
    },
  ] as const)('$name, in a TokenReview $version', async ({ version, decision, status }) => {
    const token = awkwardToken();
    backend.answer(token, decision);
    const answer = await send(whole(reviewBody(token, version, ['api'])));
    expect(answer).toMatchObject({ status: 200, error: '' });
    expect(JSON.parse(answer.body)).toEqual({
      apiVersion: apiVersion(version),
      kind: 'TokenReview',
      status,
    });
    expect(backend.callsOf(token)[0]?.audiences).toEqual(['api']);
  });

  test.each(rows)('the message for $name', async ({ request, code, reason, message }) => {
    const answer = await send(request());
    expectStatus(answer, protocol, code, reason, message);
    if (code === 405) expect(answer.headers).toHaveProperty('Allow', ['POST']);
  });

  test.each(unfinished)(
    'the message for a wrong client name with a body $name',
    async ({ body }) => {
      expectStatus(await send(body, kubelet), protocol, 403, 'Forbidden', /clientNames/);
    },
  );

  test('the message for a wrong client name each time, on one connection', async () => {
    const answer = await send({ ...whole(reviewBody(randomToken())), times: 20 }, kubelet);
    expectStatus(answer, protocol, 403, 'Forbidden', /clientNames/);
    expect(answer.connections).toBe(1);
  });

  test('the message for another path with a body that never ends', async () => {
    expectStatus(
      await send({ path: '/', rest: 'endless' }),
      protocol,
      404,
      'NotFound',
      /not found/,
    );
  });

  test.each([
    {
      name: 'of a length that it begins to send',
      body: { padding: mebibyte / 2, length: big, rest: 'waits' },
    },
    { name: 'of a length that it sends a byte at a time', body: { length: big, rest: 'trickles' } },
    { name: 'that never ends', body: { rest: 'endless' } },
    { name: 'that stops right above the limit', body: { padding: mebibyte + 1, rest: 'waits' } },
  ] as const)('the message for a body over maxBodySize $name', async ({ body }) => {
    expectStatus(await send(body), protocol, 413, 'RequestEntityTooLarge', /maxBodySize/);
  });

  test.each([
    { name: 'does not come', body: { body: '{', rest: 'waits' } },
    { name: 'comes too slowly', body: { body: '{', rest: 'trickles' } },
  ] as const)('the message for a body that $name', async ({ body }) => {
    expectStatus(await send(body), protocol, 408, 'BadRequest', /did not arrive within/);
  });

  test('the message for each body over maxBodySize on one connection', async () => {
    // Over HTTP/1.1 the client gives a connection up whose request it has not sent whole. Over HTTP/2 it resets the stream,
    // which would end the connection after some 250 if the gateway counted it.
    const times = protocol === 'HTTP/2' ? 400 : 10;
    const answer = await send({ padding: 2 * mebibyte, length: 2 * mebibyte, times });
    expectStatus(answer, protocol, 413, 'RequestEntityTooLarge', /maxBodySize/);
    if (protocol === 'HTTP/2') expect(answer.connections).toBe(1);
  });
});

test("Go's client gets the message when there are too many reviews, over each protocol", async () => {
  const { files, client, tls } = mutualTls;
  const corp = backend.authenticator('corp', {
    maxConcurrent: 1,
    cache: { store: 'memory' },
    timeout: '29s',
  });
  await using full = await startGateway({
    files,
    config: { server: { tls, maxInFlight: 2, reviewTimeout: '30s' }, authenticators: [corp] },
  });
  using others = http2Client(full.url, client);
  const hung = randomToken();
  backend.answer(hung, { kind: 'hang' });
  const waiting = [1, 2].map(() => others.send({ body: reviewBody(hung) }));
  const isFull = async () => (await others.send({ body: ada() })).status === 429;
  await waitFor(isFull, 'two reviews in progress');
  const refused = protocols.flatMap((protocol) =>
    [whole(ada()), { body: ada(), padding: 128 * 1024 }].map(async (request) => {
      const answer = await go.send(full.url, request, protocol, client);
      expectStatus(answer, protocol, 429, 'TooManyRequests', /maxInFlight/);
    }),
  );
  await Promise.all(refused);
  backend.callsOf(hung)[0]?.settle(authenticated('ada'));
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200]);
});
