import { gzipSync } from 'node:zlib';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import type { Request, Response } from './testing/clients.ts';
import { protocols, startFleet } from './testing/protocols.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { apiVersion, reviewBody, type Version, versions } from './testing/token-review.ts';
import { randomToken } from './testing/tokens.ts';

/** A request that is no review, and the `Status` that reports it. */
interface Row {
  readonly name: string;
  readonly request: (token: string, version: Version) => Request;
  readonly code: number;
  readonly reason: string;
  readonly message: RegExp;
  readonly allow?: string;
}

const badRequest = { code: 400, reason: 'BadRequest' };
const unsupportedMediaType = { code: 415, reason: 'UnsupportedMediaType' };
const tooLarge = { code: 413, reason: 'RequestEntityTooLarge' };
const notFound = { code: 404, reason: 'NotFound' };

type Review = Record<string, unknown> & { spec: Record<string, unknown> };

/** A request whose body is a review after `change`. */
function changed(change: (review: Review) => unknown): Row['request'] {
  return (token, version) => {
    const review = JSON.parse(reviewBody(token, version)) as Review;
    return { body: JSON.stringify(change(review)) };
  };
}

const withSpec = (spec: object): Row['request'] =>
  changed((review) => ({ ...review, spec: { ...review.spec, ...spec } }));

const malformed: readonly Row[] = [
  { name: 'no body', request: () => ({ body: '' }), ...badRequest, message: /body|kind/ },
  {
    name: 'half a body',
    request: (token) => ({ body: reviewBody(token).slice(0, -9) }),
    ...badRequest,
    message: /JSON/,
  },
  { name: 'an array', request: changed((review) => [review]), ...badRequest, message: /object|TokenReview/ },
  { name: 'null', request: () => ({ body: 'null' }), ...badRequest, message: /object|TokenReview/ },
  { name: 'another kind', request: changed((review) => ({ ...review, kind: 'Pod' })), ...badRequest, message: /kind/ },
  { name: 'no spec', request: changed(({ spec: _, ...rest }) => rest), ...badRequest, message: /spec/ },
  { name: 'no token', request: withSpec({ token: undefined }), ...badRequest, message: /spec\.token/ },
  { name: 'an empty token', request: withSpec({ token: '' }), ...badRequest, message: /spec\.token/ },
  { name: 'a token that is a number', request: withSpec({ token: 7 }), ...badRequest, message: /spec\.token/ },
  { name: 'audiences that are a string', request: withSpec({ audiences: 'a' }), ...badRequest, message: /audiences/ },
  { name: 'an audience that is a number', request: withSpec({ audiences: [7] }), ...badRequest, message: /audiences/ },
  {
    name: '17 audiences',
    request: withSpec({ audiences: Array.from({ length: 17 }, (_, index) => `a${index}`) }),
    ...badRequest,
    message: /audiences.*16/,
  },
  {
    name: 'an audience of 257 bytes in 129 characters',
    request: withSpec({ audiences: [`a${'é'.repeat(128)}`] }),
    ...badRequest,
    message: /audiences.*256/,
  },
  {
    name: 'an unsupported apiVersion',
    request: changed((review) => ({ ...review, apiVersion: 'authentication.k8s.io/v2' })),
    ...badRequest,
    message: /authentication\.k8s\.io\/v1\b.*authentication\.k8s\.io\/v1beta1/,
  },
];

const elsewhere: readonly Row[] = [
  {
    name: 'YAML',
    request: (token) => ({ body: reviewBody(token), headers: { 'content-type': 'application/yaml' } }),
    ...unsupportedMediaType,
    message: /application\/json/,
  },
  {
    name: 'no content type',
    request: (token) => ({ body: reviewBody(token), headers: { 'content-type': undefined } }),
    ...unsupportedMediaType,
    message: /application\/json/,
  },
  {
    name: 'gzip',
    request: (token) => ({ body: gzipSync(reviewBody(token)), headers: { 'content-encoding': 'gzip' } }),
    ...unsupportedMediaType,
    message: /Content-Encoding/,
  },
  {
    name: 'the encoding called identity',
    request: (token) => ({ body: reviewBody(token), headers: { 'content-encoding': 'identity' } }),
    ...unsupportedMediaType,
    message: /Content-Encoding/,
  },
  {
    name: 'a body over maxBodySize',
    request: withSpec({ padding: 'x'.repeat(64 * 1024) }),
    ...tooLarge,
    message: /maxBodySize/,
  },
  {
    name: 'GET',
    request: () => ({ method: 'GET' }),
    code: 405,
    reason: 'MethodNotAllowed',
    message: /POST/,
    allow: 'POST',
  },
  {
    name: 'PUT',
    request: (token) => ({ method: 'PUT', body: reviewBody(token) }),
    code: 405,
    reason: 'MethodNotAllowed',
    message: /POST/,
    allow: 'POST',
  },
  { name: 'the root', request: (token) => ({ path: '/', body: reviewBody(token) }), ...notFound, message: /./ },
  {
    name: 'a slash behind the path',
    request: (token) => ({ path: '/authenticate/', body: reviewBody(token) }),
    ...notFound,
    message: /./,
  },
  {
    name: 'another case of the path',
    request: (token) => ({ path: '/Authenticate', body: reviewBody(token) }),
    ...notFound,
    message: /./,
  },
  { name: 'a GET of another path', request: () => ({ path: '/metrics', method: 'GET' }), ...notFound, message: /./ },
];

let backend: ScriptedBackend;

const fleet = startFleet(async () => {
  backend = await startScriptedBackend();
  // One review more than lookups may hang: it is the second of a token, which waits for the first one's lookup.
  const settings = { maxConcurrent: 1, cache: { store: 'memory' } };
  const authenticators = ['corp', 'robots'].map((name) => backend.authenticator(name, settings));
  return { config: { server: { maxBodySize: '64KiB', maxInFlight: 3 }, authenticators } };
});

function expectStatus(response: Response, row: Pick<Row, 'code' | 'reason' | 'message'>): void {
  expect(response.status).toBe(row.code);
  expect(response.headers['content-type']).toMatch(/^application\/json/);
  const { code, reason } = row;
  const message = expect.stringMatching(row.message);
  expect(JSON.parse(response.text)).toMatchObject({
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    code,
    reason,
    message,
  });
}

describe.each(protocols)('over %s', (protocol) => {
  describe.each(versions)('in a TokenReview %s', (version) => {
    test.each([...malformed, ...elsewhere])('$name is answered $code', async (row) => {
      const token = randomToken();
      const client = fleet.client(protocol);
      const response = await client.send(row.request(token, version));
      expectStatus(response, row);
      expect(response.headers.allow).toBe(row.allow);
      expect(response.text).not.toContain(token);
      expect(backend.callsOf(token)).toEqual([]);
      backend.answer(token, authenticated('ada'));
      expect((await client.send({ body: reviewBody(token, version) })).status).toBe(200);
    });

    test('a query, a charset and unknown fields change nothing', async () => {
      const token = randomToken();
      backend.answer(token, authenticated('ada'));
      const { body = '' } = withSpec({ later: true })(token, version);
      const headers = { 'content-type': 'application/json; charset=utf-8' };
      const response = await fleet.client(protocol).send({ path: '/authenticate?a=b', body, headers });
      expect(JSON.parse(response.text)).toMatchObject({
        apiVersion: apiVersion(version),
        status: { authenticated: true },
      });
    });

    test('16 audiences of 256 bytes are asked for', async () => {
      const token = randomToken();
      const audiences = Array.from({ length: 16 }, (_, index) => String(index).padEnd(256, 'x'));
      await fleet.client(protocol).send({ body: reviewBody(token, version, audiences) });
      expect(backend.callsOf(token)[0]?.audiences).toEqual(audiences);
    });

    test('a review beyond maxInFlight is answered 429, and the next one once there is room again', async () => {
      const client = fleet.client(protocol);
      const waiting = [randomToken(), randomToken()];
      const answers = waiting.map((token) => {
        backend.answer(token, { kind: 'hang' });
        return client.send({ body: reviewBody(token, version) });
      });
      const calls = await Promise.all(waiting.map((token) => backend.whenAsked(token)));
      const caller = new AbortController();
      const second = client.send({ body: reviewBody(waiting[0] ?? '', version), signal: caller.signal });
      const unanswered = expect(second).rejects.toThrow();
      const status = async () => (await client.send({ body: reviewBody(randomToken(), version) })).status;
      await waitFor(async () => (await status()) === 429, 'the second review of a token to be the last that is taken');
      const token = randomToken();
      const refused = await client.send({ body: reviewBody(token, version) });
      expectStatus(refused, { code: 429, reason: 'TooManyRequests', message: /maxInFlight/ });
      expect(backend.callsOf(token)).toEqual([]);
      caller.abort();
      await unanswered;
      await waitFor(async () => (await status()) === 200, 'capacity after the second review');
      for (const call of calls) {
        call.settle(authenticated('ada'));
      }
      expect((await Promise.all(answers)).map((answer) => answer.status)).toEqual([200, 200]);
      backend.answer(token, authenticated('ada'));
      expect(JSON.parse((await client.send({ body: reviewBody(token, version) })).text)).toMatchObject({
        status: { authenticated: true },
      });
    });
  });
});
