import type { Decision } from '@sallyport/authenticator';
import { describe, expect, test, vi } from 'vitest';
import { ChainError } from '../engine/chain/chain.ts';
import { openRaw, randomToken, rawPost, review, send } from '../testing/clients.ts';
import { alice, startTestServer } from '../testing/server.ts';

const unavailable = (...names: string[]) =>
  new ChainError(names.map((authenticator) => ({ authenticator, error: new Error('down') })));

describe('an answered review', () => {
  test.each(['v1', 'v1beta1'])('%s: authenticated', async (version) => {
    const seen: unknown[] = [];
    const decision: Decision = {
      kind: 'authenticated',
      user: { username: 'alice', uid: '7', groups: ['dev'], extra: { k: ['v'] } },
      audiences: ['b'],
    };
    const server = await startTestServer({
      authenticate: async (token, { audiences }) => {
        seen.push([token, audiences]);
        return decision;
      },
    });
    const token = randomToken();
    const answer = await send(server.url, {
      body: review({ token, audiences: ['a', 'b'] }, version),
    });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.json).toEqual({
      apiVersion: `authentication.k8s.io/${version}`,
      kind: 'TokenReview',
      status: { authenticated: true, user: decision.user, audiences: ['b'] },
    });
    expect(seen).toEqual([[token, ['a', 'b']]]);
    expect(server.outcomes).toEqual([['authenticated', version]]);
    expect(server.inFlight.count).toBe(0);
  });

  test.each<{ name: string; decision: Decision; outcome: string; level: string }>([
    {
      name: 'rejected',
      decision: { kind: 'rejected', reason: 'locked', subject: 'bob' },
      outcome: 'rejected',
      level: 'info',
    },
    { name: 'unknown', decision: { kind: 'no-opinion' }, outcome: 'unknown', level: 'debug' },
  ])('$name: not authenticated, without a reason', async ({ decision, outcome, level }) => {
    const server = await startTestServer({ authenticate: async () => decision });
    const answer = await send(server.url);
    expect(answer).toMatchObject({ status: 200, json: { status: { authenticated: false } } });
    expect(answer.text).not.toContain('error');
    expect(server.outcomes).toEqual([[outcome, 'v1']]);
    expect(server.log).toEqual([expect.objectContaining({ level, message: 'token review' })]);
  });

  test('could not be checked: not authenticated, naming the authenticators', async () => {
    const server = await startTestServer({
      authenticate: () => Promise.reject(unavailable('corp', 'robots')),
    });
    const answer = await send(server.url);
    expect(answer).toMatchObject({
      status: 200,
      json: { status: { authenticated: false, error: 'authenticators corp, robots unavailable' } },
    });
    expect(server.outcomes).toEqual([['error', 'v1']]);
    expect(server.log[0]).toMatchObject({
      level: 'warn',
      fields: { authenticators: ['corp', 'robots'] },
    });
  });

  test('the review timeout aborts it, and the answer names the authenticator that was asked', async () => {
    const server = await startTestServer({
      settings: { reviewTimeout: 20 },
      authenticate: (_token, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(unavailable('slow'))),
        ),
    });
    const answer = await send(server.url);
    expect(answer).toMatchObject({
      status: 200,
      json: { status: { authenticated: false, error: 'authenticator slow unavailable' } },
    });
  });

  test.each([
    { name: 'over maxTokenSize', token: 'x'.repeat(16 * 1024 + 1) },
    { name: 'with half a surrogate pair', token: 'a\ud800' },
    { name: 'with U+FFFD', token: 'a\ufffd' },
  ])('a token $name is unknown, and no authenticator is asked', async ({ token }) => {
    const authenticate = vi.fn(async () => alice);
    const server = await startTestServer({ authenticate });
    const answer = await send(server.url, { body: review({ token }) });
    expect(answer).toMatchObject({ status: 200, json: { status: { authenticated: false } } });
    expect(answer.text).not.toContain('error');
    expect(authenticate).not.toHaveBeenCalled();
    expect(server.outcomes).toEqual([['unknown', 'v1']]);
  });

  test('a bug: 500 without detail; the log has its place, and not its message', async () => {
    const server = await startTestServer({
      authenticate: (token) =>
        Promise.reject(Object.assign(new TypeError(`bad ${token}`), { body: token })),
    });
    const token = randomToken();
    const answer = await send(server.url, { body: review({ token }) });
    expect(answer.status).toBe(500);
    expect(answer.json).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'internal error',
      reason: 'InternalError',
      code: 500,
    });
    expect(JSON.stringify(server.log)).not.toContain(token);
    expect(server.log).toContainEqual(
      expect.objectContaining({
        level: 'error',
        fields: {
          error: {
            type: 'TypeError',
            frames: expect.arrayContaining([expect.stringContaining('review-server.test.ts')]),
          },
        },
      }),
    );
    expect(server.outcomes).toEqual([['error', 'v1']]);
  });
});

describe('a refused request', () => {
  const json = (status: number, reason: string, message: RegExp) => ({
    status,
    json: {
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      reason,
      code: status,
      message: expect.stringMatching(message),
    },
  });

  test.each([
    {
      name: 'malformed JSON',
      options: { body: '{"kind":' },
      status: 400,
      reason: 'BadRequest',
      message: /JSON/,
    },
    {
      name: 'text behind the review',
      options: { body: `${review()}{}` },
      status: 400,
      reason: 'BadRequest',
      message: /JSON/,
    },
    {
      name: 'an empty body',
      options: { body: '' },
      status: 400,
      reason: 'BadRequest',
      message: /body is empty/,
    },
    {
      name: 'no token',
      options: { body: review({}) },
      status: 400,
      reason: 'BadRequest',
      message: /spec\.token/,
    },
    {
      name: 'YAML',
      options: { headers: { 'Content-Type': 'application/yaml' } },
      status: 415,
      reason: 'UnsupportedMediaType',
      message: /Content-Type/,
    },
    {
      name: 'a form',
      options: { headers: { 'Content-Type': 'application/x-www-form-urlencoded' } },
      status: 415,
      reason: 'UnsupportedMediaType',
      message: /Content-Type/,
    },
    {
      name: 'another JSON',
      options: { headers: { 'Content-Type': 'application/json-patch+json' } },
      status: 415,
      reason: 'UnsupportedMediaType',
      message: /Content-Type/,
    },
    {
      name: 'no content type',
      options: { headers: { 'Content-Type': '' } },
      status: 415,
      reason: 'UnsupportedMediaType',
      message: /Content-Type/,
    },
    {
      name: 'gzip',
      options: { headers: { 'Content-Encoding': 'gzip' } },
      status: 415,
      reason: 'UnsupportedMediaType',
      message: /Content-Encoding/,
    },
    {
      name: 'identity, explicitly',
      options: { headers: { 'Content-Encoding': 'identity' } },
      status: 415,
      reason: 'UnsupportedMediaType',
      message: /Content-Encoding/,
    },
    {
      name: 'too large',
      options: { body: ' '.repeat(256 * 1024 + 1) },
      status: 413,
      reason: 'RequestEntityTooLarge',
      message: /262144 bytes/,
    },
    {
      name: 'too large, in chunks',
      options: { body: ' '.repeat(256 * 1024 + 1), headers: { 'Transfer-Encoding': 'chunked' } },
      status: 413,
      reason: 'RequestEntityTooLarge',
      message: /maxBodySize/,
    },
  ])('$name', async ({ options, status, reason, message }) => {
    const server = await startTestServer();
    const answer = await send(server.url, options);
    expect(answer).toMatchObject(json(status, reason, message));
    expect(answer.headers['retry-after']).toBeUndefined();
    expect(server.outcomes.map(([outcome]) => outcome)).toEqual(['invalid']);
    expect(server.inFlight.count).toBe(0);
  });

  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('method %s', async (method) => {
    const server = await startTestServer();
    const answer = await send(server.url, { method });
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    if (method !== 'HEAD') expect(answer).toMatchObject(json(405, 'MethodNotAllowed', /POST/));
    expect(server.outcomes).toEqual([]);
  });

  test.each([
    '/',
    '/authenticate/',
    '/Authenticate',
    '//authenticate',
    '/authenticate%2f',
    '/%61uthenticate',
    '/authenticate;x',
  ])('path %s', async (path) => {
    const server = await startTestServer();
    expect(await send(server.url, { path })).toMatchObject(
      json(
        404,
        'NotFound',
        /^not found: token reviews go to POST \/authenticate, and metrics and health are at admin\.listen$/,
      ),
    );
  });

  test('an unknown path is logged without its query, bounded, and at most once in ten seconds as a warning', async () => {
    const server = await startTestServer();
    const secret = randomToken();
    const path = `/webhook%0a/${'a'.repeat(200)}`;
    await send(server.url, { path: `${path}?token=${secret}` });
    await send(server.url, { path: '/' });
    expect(server.log).toEqual([
      {
        level: 'warn',
        fields: { peer: '127.0.0.1', path: path.slice(0, 100) },
        message: 'request path not found: token reviews go to POST /authenticate',
      },
      expect.objectContaining({ level: 'debug', fields: { peer: '127.0.0.1', path: '/' } }),
    ]);
    expect(JSON.stringify(server.log)).not.toContain(secret);
  });

  test('the query is ignored, as is the charset', async () => {
    const server = await startTestServer();
    const headers = { 'Content-Type': 'Application/JSON; charset=utf-8' };
    expect((await send(server.url, { path: '/authenticate?timeout=30s', headers })).status).toBe(
      200,
    );
  });

  test('too many at a time: 429, and the next one is answered once there is capacity again', async () => {
    const decision = Promise.withResolvers<Decision>();
    const server = await startTestServer({
      authenticate: () => decision.promise,
      settings: { maxInFlight: 1 },
    });
    const first = send(server.url);
    await expect.poll(() => server.inFlight.count).toBe(1);
    for (const body of [review(), '{}']) {
      const refused = await send(server.url, { body });
      expect(refused).toMatchObject(json(429, 'TooManyRequests', /maxInFlight/));
      expect(refused.headers).not.toHaveProperty('retry-after');
    }
    expect(server.outcomes).toEqual([
      ['overloaded', undefined],
      ['overloaded', undefined],
    ]);
    expect(server.log.map(({ level }) => level)).toEqual(['warn', 'debug']);
    decision.resolve(alice);
    expect((await first).status).toBe(200);
    expect((await send(server.url)).status).toBe(200);
  });

  test('a body that does not arrive does not count towards maxInFlight', async () => {
    const server = await startTestServer({ settings: { maxInFlight: 1 } });
    for (let body = 0; body < 3; body++)
      openRaw(server.port).socket.write(rawPost('{', ['Content-Length: 100']));
    expect((await send(server.url)).status).toBe(200);
  });

  test('malformed reviews are one warning in 10 s, so that thousands of them fill no disk', async () => {
    const server = await startTestServer({ authenticate: async () => alice });
    for (let time = 0; time < 3; time++)
      expect((await send(server.url, { body: '{}' })).status).toBe(400);
    expect(server.log.map(({ level }) => level)).toEqual(['warn', 'debug', 'debug']);
  });

  test('reviews that could not be checked are one warning in 10 s, for each set of authenticators', async () => {
    const down = [['corp'], ['corp'], ['corp', 'robots'], ['corp']];
    const server = await startTestServer({
      authenticate: () => Promise.reject(unavailable(...(down.shift() ?? []))),
    });
    for (let time = 0; time < 4; time++) await send(server.url);
    expect(server.log.map(({ level }) => level)).toEqual(['warn', 'debug', 'warn', 'debug']);
  });

  test('a user that a backend names after the token is logged without it', async () => {
    const token = randomToken();
    let decision: Decision = { kind: 'authenticated', user: { username: `user of ${token}` } };
    const server = await startTestServer({ authenticate: async () => decision });
    await send(server.url, { body: review({ token }) });
    decision = { kind: 'rejected', reason: 'locked', subject: token };
    await send(server.url, { body: review({ token }) });
    expect(server.log.map(({ fields }) => fields)).toMatchObject([
      { username: 'user of [token]' },
      { subject: '[token]' },
    ]);
  });

  test('a changed limit applies to the next request', async () => {
    const server = await startTestServer();
    server.settings.maxBodySize = 10;
    expect(await send(server.url)).toMatchObject(json(413, 'RequestEntityTooLarge', / 10 bytes/));
    server.settings.maxBodySize = 100_000;
    expect((await send(server.url)).status).toBe(200);
  });
});
