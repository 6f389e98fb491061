import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { gzipSync } from 'node:zlib';
import type { Decision } from '@sallyport/authenticator';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ChainError } from '../engine/chain/chain.ts';
import { openRaw, randomToken, rawPost, review, send } from '../testing/clients.ts';
import { alice, startTestServer, type TestServer } from '../testing/server.ts';

const alive = async (server: TestServer) => {
  expect((await send(server.url)).status).toBe(200);
  expect(server.inFlight.count).toBe(0);
};

describe('hostile bodies', () => {
  test('bytes that are not UTF-8 in the token: unknown, and no authenticator is asked', async () => {
    const authenticate = vi.fn(async () => alice);
    const server = await startTestServer({ authenticate });
    const [before, after] = review({ token: '#' }).split('#');
    const body = Buffer.concat([
      Buffer.from(before ?? ''),
      Buffer.from([0xff, 0xfe]),
      Buffer.from(after ?? ''),
    ]);
    expect(await send(server.url, { body })).toMatchObject({
      status: 200,
      json: { status: { authenticated: false } },
    });
    expect(authenticate).not.toHaveBeenCalled();
  });

  test('a body nested 100,000 deep is refused, or read where the nested part is not needed', async () => {
    const server = await startTestServer();
    expect((await send(server.url, { body: '['.repeat(100_000) })).status).toBe(400);
    expect(
      (await send(server.url, { body: '['.repeat(100_000) + ']'.repeat(100_000) })).status,
    ).toBe(400);
    const deep = `{"x":${'['.repeat(100_000)}${']'.repeat(100_000)},${review().slice(1)}`;
    expect((await send(server.url, { body: deep })).status).toBe(200);
    await alive(server);
  });

  test('of duplicate keys the last one counts, as in Kubernetes', async () => {
    const seen: string[] = [];
    const server = await startTestServer({
      authenticate: async (token) => {
        seen.push(token);
        return alice;
      },
    });
    await send(server.url, {
      body: review({ token: 'one' }).replace('"token":"one"', '"token":"one","token":"two"'),
    });
    expect(seen).toEqual(['two']);
  });

  test.each(['__proto__', '\\u005f_proto__'])(
    '%s at any depth is refused and pollutes nothing',
    async (key) => {
      const server = await startTestServer();
      for (const body of [
        `{"${key}":{"kind":"TokenReview"}}`,
        `{"a":[{"${key}":{"polluted":1}}],${review().slice(1)}`,
      ]) {
        expect((await send(server.url, { body })).status).toBe(400);
      }
      expect('polluted' in {}).toBe(false);
    },
  );

  test('no part of a malformed body is in the answer or the log', async () => {
    const server = await startTestServer();
    const token = randomToken();
    for (const body of [
      `{"spec":{"token":"${token}"`,
      `${token}`,
      `"${token}"`,
      review({ token }).replace('}', token),
    ]) {
      const answer = await send(server.url, { body });
      expect(answer.status).toBe(400);
      for (const part of [answer.text, JSON.stringify(server.log)])
        expect(part).not.toContain(token.slice(0, 6));
    }
  });

  test('a prototype in the body gives no answer to any review', async () => {
    const server = await startTestServer({ authenticate: async () => ({ kind: 'no-opinion' }) });
    const member = '"constructor":{"prototype":{"authenticated":true,"user":{"username":"root"}}}';
    for (const body of [`{${member},${review().slice(1)}`, review()]) {
      expect((await send(server.url, { body })).text).not.toContain('"authenticated":true');
    }
  });

  test('a review with one byte changed is answered 200 or with a Status', async () => {
    const server = await startTestServer();
    const text = Buffer.from(review({ token: randomToken(), audiences: ['vault'] }));
    const change = fc.tuple(fc.nat(text.length - 1), fc.integer({ min: 0, max: 255 }));
    const property = fc.asyncProperty(change, async ([place, byte]) => {
      const body = Buffer.from(text);
      body[place] = byte;
      const { status, json } = await send(server.url, { body });
      expect([200, 400]).toContain(status);
      expect(json).toMatchObject({ kind: status === 200 ? 'TokenReview' : 'Status' });
    });
    await fc.assert(property, { numRuns: 60 });
    expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('a compressed bomb is not decompressed', async () => {
    const server = await startTestServer();
    const body = gzipSync(Buffer.alloc(10_000_000, ' '));
    expect((await send(server.url, { body, headers: { 'Content-Encoding': 'gzip' } })).status).toBe(
      415,
    );
    await alive(server);
  });

  const chunk = `1000\r\n${' '.repeat(0x1000)}\r\n`;
  test.each([
    {
      how: 'of a length',
      begin: '',
      header: 'Content-Length: 1000000',
      rest: ' '.repeat(1_000_000),
    },
    {
      how: 'in chunks',
      begin: chunk,
      header: 'Transfer-Encoding: chunked',
      rest: `${chunk.repeat(100)}0\r\n\r\n`,
    },
  ])(
    'a body over the limit $how is answered before it has arrived, and dropped',
    async ({ begin, header, rest }) => {
      const server = await startTestServer({ settings: { maxBodySize: 1000 } });
      const raw = openRaw(server.port);
      raw.socket.write(rawPost(begin, [header]));
      await expect.poll(() => raw.received()).toContain('"code":413');
      raw.socket.write(rest);
      raw.socket.write(rawPost(review()));
      await expect.poll(() => raw.received()).toContain('"authenticated":true');
    },
  );

  test('a body in more than 1,000 pieces is refused, and its connection ends if it goes on', async () => {
    const server = await startTestServer();
    const one = '1\r\n \r\n';
    const few = openRaw(server.port);
    few.socket.write(
      rawPost(`${one.repeat(900)}${review().length.toString(16)}\r\n${review()}\r\n0\r\n\r\n`, [
        'Transfer-Encoding: chunked',
      ]),
    );
    await expect.poll(() => few.received()).toContain('"authenticated":true');
    const many = openRaw(server.port);
    many.socket.write(rawPost(one.repeat(1_100), ['Transfer-Encoding: chunked']));
    await expect.poll(() => many.received()).toMatch(/^HTTP\/1.1 400 .*too many pieces/s);
    expect(many.socket.readyState).toBe('open');
    many.socket.write(one.repeat(1_000));
    await many.closed;
    await alive(server);
  });

  test('a client that keeps sending a refused body is cut off', async () => {
    const server = await startTestServer({
      limits: { headersTimeout: 500, requestTimeout: 500, checkInterval: 20 },
    });
    const raw = openRaw(server.port);
    raw.socket.write(
      rawPost('', ['Transfer-Encoding: chunked']).toString().replace('/authenticate', '/'),
    );
    const more = () => !raw.socket.destroyed && raw.socket.write(chunk, () => setImmediate(more));
    more();
    await raw.closed;
    expect(raw.received()).toMatch(/^HTTP\/1.1 404 .*"code":404/s);
  });

  test('a body that comes too slowly is answered 408, and its connection closed', async () => {
    const server = await startTestServer({ limits: { bodyTimeout: 30 } });
    const raw = openRaw(server.port);
    raw.socket.write(rawPost('{', ['Content-Length: 100']));
    await raw.closed;
    expect(raw.received()).toMatch(/^HTTP\/1.1 408 .*Connection: close.*"code":408/is);
    expect(server.outcomes).toEqual([['invalid', undefined]]);
  });

  test('connections whose headers never end, or that send nothing, are closed', async () => {
    const server = await startTestServer({
      limits: { headersTimeout: 20, requestTimeout: 40, checkInterval: 10 },
    });
    const [slow, silent] = [openRaw(server.port), openRaw(server.port)];
    slow.socket.write('POST /authenticate HTTP/1.1\r\nHost: a\r\nX-');
    await Promise.all([slow.closed, silent.closed]);
    expect(slow.received()).toMatch(/^HTTP\/1.1 408 .*"reason":"BadRequest"/s);
  });
});

describe('hostile requests', () => {
  test('pipelined requests get their own answers, in order', async () => {
    const decisions = new Map([
      ['a', Promise.withResolvers<Decision>()],
      ['b', Promise.withResolvers<Decision>()],
    ]);
    const server = await startTestServer({
      authenticate: (token) => decisions.get(token)?.promise ?? Promise.reject(),
    });
    const raw = openRaw(server.port);
    raw.socket.write(
      Buffer.concat([rawPost(review({ token: 'a' })), rawPost(review({ token: 'b' }))]),
    );
    await expect.poll(() => server.inFlight.count).toBe(2);
    decisions.get('b')?.resolve({ kind: 'authenticated', user: { username: 'second' } });
    await expect.poll(() => server.inFlight.count).toBe(1);
    decisions.get('a')?.resolve({ kind: 'authenticated', user: { username: 'first' } });
    await expect.poll(() => raw.received()).toMatch(/first.*second/s);
  });

  test.each([
    { what: 'requests', request: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n' },
    { what: 'requests without a Host', request: 'GET / HTTP/1.1\r\n\r\n' },
    { what: 'requests with a body', request: String(rawPost(review())) },
    {
      what: 'requests that expect something',
      request: 'GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n',
    },
  ])(
    'of 1,000 pipelined $what Node makes no more than the connection may have',
    async ({ request }) => {
      const made = vi.fn();
      subscribe('http.server.request.start', made);
      onTestFinished(() => void unsubscribe('http.server.request.start', made));
      const decision = Promise.withResolvers<Decision>();
      const server = await startTestServer({
        limits: { maxPipelined: 2 },
        authenticate: () => decision.promise,
      });
      const raw = openRaw(server.port);
      raw.socket.write(request.repeat(1_000));
      await raw.closed;
      // These are two, and the one that was too many.
      expect(made.mock.calls.length).toBeLessThanOrEqual(3);
      decision.resolve(alice);
      // A parser that was stopped is used again.
      for (let count = 0; count < 3; count++) await alive(server);
    },
  );

  test('a request of HTTP/1.1 without a Host is answered 400 with a Status, and closed', async () => {
    const raw = openRaw((await startTestServer()).port);
    raw.socket.write('POST /authenticate HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}');
    await raw.closed;
    expect(raw.received()).toMatch(
      /^HTTP\/1.1 400 .*Connection: close.*the Host header is missing/s,
    );
  });

  test('garbage after a good request does not replace its answer', async () => {
    const decision = Promise.withResolvers<Decision>();
    const server = await startTestServer({ authenticate: () => decision.promise });
    const raw = openRaw(server.port);
    raw.socket.write(Buffer.concat([rawPost(review()), Buffer.from('garbage\r\n\r\n')]));
    await expect
      .poll(() => server.log.map(({ message }) => message))
      .toContain('request could not be parsed');
    decision.resolve(alice);
    await raw.closed;
    expect(raw.received()).toMatch(/^HTTP\/1.1 200 OK\r\n.*"authenticated":true/s);
    expect(raw.received()).not.toContain('400');
  });

  test.each([
    { name: 'two lengths', headers: ['Content-Length: 3', 'Content-Length: 5'] },
    { name: 'a length and chunks', headers: ['Content-Length: 3', 'Transfer-Encoding: chunked'] },
    { name: 'a length that is not a number', headers: ['Content-Length: 3x'] },
    { name: 'a length below zero', headers: ['Content-Length: -1'] },
    { name: 'two lengths in a list', headers: ['Content-Length: 3, 5'] },
    { name: 'a header without a colon', headers: ['nonsense'] },
    { name: 'a folded header', headers: ['X-A: b\r\n c'] },
    { name: 'a bare CR in a header', headers: ['X-A: b\rc'] },
    { name: 'a space before the colon', headers: ['Content-Length : 3'] },
  ])('$name: 400 with a Status, and closed', async ({ headers }) => {
    const server = await startTestServer();
    const raw = openRaw(server.port);
    raw.socket.write(rawPost('{}\n', headers));
    await raw.closed;
    expect(raw.received()).toMatch(
      /^HTTP\/1.1 400 Bad Request\r\nConnection: close\r\n.*"kind":"Status".*"code":400/s,
    );
    expect(server.outcomes).toEqual([]);
    await alive(server);
  });

  test.each([
    { name: 'a malformed chunk', body: '2\r\n{"\r\nxyz\r\n', coding: 'chunked' },
    { name: 'a transfer coding other than chunked', body: review(), coding: 'gzip' },
  ])('$name: 400 immediately, and closed', async ({ body, coding }) => {
    const server = await startTestServer();
    const raw = openRaw(server.port);
    raw.socket.write(rawPost(body, [`Transfer-Encoding: ${coding}`]));
    await raw.closed;
    expect(raw.received()).toMatch(/^HTTP\/1.1 400 .*Connection: close.*"code":400/is);
    await alive(server);
  });

  test.each([
    { name: 'a TLS hello', bytes: Buffer.from('16030100050100000100', 'hex') },
    { name: 'the HTTP/2 preface', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' },
    { name: 'HTTP/0.9', bytes: 'POST /authenticate\r\n\r\n' },
    { name: 'an unknown method', bytes: 'STEAL /authenticate HTTP/1.1\r\nhost: a\r\n\r\n' },
  ])('$name in place of a request ends the connection', async ({ bytes }) => {
    const server = await startTestServer();
    const raw = openRaw(server.port);
    raw.socket.write(bytes);
    await raw.closed;
    expect(raw.received()).not.toMatch(/^HTTP\/1\.1 [25]/);
    await alive(server);
  });

  test('a request behind a refused one is answered, and one in the body of another is a body', async () => {
    const tokens: string[] = [];
    const server = await startTestServer({
      authenticate: async (token) => {
        tokens.push(token);
        return alice;
      },
    });
    const raw = openRaw(server.port);
    const smuggled = rawPost(rawPost(review({ token: 'smuggled' })));
    raw.socket.write(Buffer.concat([smuggled, rawPost(review({ token: 'next' }))]));
    await expect.poll(() => raw.received()).toMatch(/^HTTP\/1\.1 400 .*"authenticated":true/s);
    expect(tokens).toEqual(['next']);
  });

  test('a client that waits for "100 Continue" is served', async () => {
    const server = await startTestServer();
    const raw = openRaw(server.port);
    const body = review();
    raw.socket.write(rawPost('', [`Content-Length: ${body.length}`, 'Expect: 100-continue']));
    await expect.poll(() => raw.received()).toMatch(/^HTTP\/1\.1 100 Continue\r\n/);
    raw.socket.write(body);
    await expect.poll(() => raw.received()).toContain('"authenticated":true');
  });

  test.each([
    { name: 'one header of 1 MB', headers: [`X-A: ${'a'.repeat(1_000_000)}`] },
    {
      name: '20,000 headers',
      headers: Array.from({ length: 20_000 }, (_, index) => `X-${index}: a`),
    },
  ])('$name: 431', async ({ headers }) => {
    const server = await startTestServer();
    const raw = openRaw(server.port);
    raw.socket.write(rawPost('', headers));
    await raw.closed;
    if (raw.received() !== '') expect(raw.received()).toMatch(/^HTTP\/1.1 431 .*"code":431/s);
    await alive(server);
  });

  test('a URL in absolute form means its path', async () => {
    const server = await startTestServer();
    for (const [url, status] of [
      ['http://evil.example/authenticate', 200],
      ['http://evil.example/', 404],
      ['*', 404],
    ] as const) {
      const raw = openRaw(server.port);
      const method = url === '*' ? 'OPTIONS' : 'POST';
      raw.socket.write(
        rawPost(review()).toString().replace('POST /authenticate', `${method} ${url}`),
      );
      await expect.poll(() => raw.received()).toContain(`HTTP/1.1 ${status} `);
    }
  });

  test('a target that is not a URL is answered 400, and is not logged as a bug', async () => {
    const server = await startTestServer();
    const raw = openRaw(server.port);
    raw.socket.write(
      rawPost(review())
        .toString('latin1')
        .replace('POST /authenticate', 'POST http://[/authenticate'),
    );
    await expect.poll(() => raw.received()).toMatch(/^HTTP\/1\.1 40[04]/);
    expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('CONNECT gets no tunnel, and Upgrade no other protocol', async () => {
    const server = await startTestServer();
    const tunnel = openRaw(server.port);
    tunnel.socket.write('CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n');
    await tunnel.closed;
    expect(tunnel.received()).not.toContain(' 200 ');
    const upgrade = openRaw(server.port);
    const body = review();
    upgrade.socket.write(
      rawPost(body, [`Content-Length: ${body.length}`, 'Connection: Upgrade', 'Upgrade: h2c']),
    );
    await expect.poll(() => upgrade.received()).toMatch(/^HTTP\/1.1 200 OK/);
    await alive(server);
  });

  test('a caller that goes during the lookup aborts it and ends its count', async () => {
    const seen: AbortSignal[] = [];
    const server = await startTestServer({
      authenticate: (_token, { signal }) => {
        seen.push(signal);
        return new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new ChainError([]))),
        );
      },
    });
    const raw = openRaw(server.port);
    raw.socket.write(rawPost(review()));
    await expect.poll(() => seen).toHaveLength(1);
    raw.socket.destroy();
    await expect.poll(() => server.inFlight.count).toBe(0);
    expect(seen[0]?.aborted).toBe(true);
    await expect.poll(() => server.outcomes).toEqual([['error', 'v1']]);
    expect(server.log.filter(({ level }) => level !== 'debug')).toEqual([]);
  });

  test('work that goes on after its caller has gone still counts', async () => {
    const work = Promise.withResolvers<Decision>();
    const server: TestServer = await startTestServer({
      authenticate: (_token, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => {
            server.inFlight.hold(work.promise);
            reject(new ChainError([]));
          }),
        ),
    });
    const raw = openRaw(server.port);
    raw.socket.write(rawPost(review()));
    await expect.poll(() => server.inFlight.count).toBe(1);
    raw.socket.destroy();
    await expect.poll(() => server.outcomes).toHaveLength(1);
    expect(server.inFlight.count).toBe(1);
    work.resolve(alice);
    await expect.poll(() => server.inFlight.count).toBe(0);
  });

  test('a caller that goes while it sends the body causes no warning', async () => {
    const server = await startTestServer();
    const raw = openRaw(server.port);
    raw.socket.write(rawPost('{', ['Content-Length: 100']), () => raw.socket.destroy());
    await expect.poll(() => server.outcomes).toEqual([['invalid', undefined]]);
    expect(server.log.filter(({ level }) => level !== 'debug')).toEqual([]);
    await alive(server);
  });
});
