import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { openRaw, send } from '../../testing/clients.ts';
import { createLog, type LogLine } from '../../testing/server.ts';
import type { StatusDocument } from '../status-page/collector.ts';
import { type AdminServer, type AdminServerOptions, startAdminServer } from './admin.ts';

async function start(
  options: Partial<AdminServerOptions> = {},
): Promise<AdminServer & { log: LogLine[] }> {
  const { lines: log, logger } = createLog();
  const server = await startAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    readiness: () => [],
    authenticators: async () => [],
    identity: () => ({ config: '', addresses: [] }),
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', body: 'up 1\n' }),
    statusPage: {
      isShown: () => false,
      document: async () => Promise.reject(new Error('not asked for')),
    },
    logger,
    ...options,
  });
  onTestFinished(() => server.close());
  return { ...server, log };
}

const get = (server: AdminServer, path: string, host = '127.0.0.1', method = 'GET') =>
  send(server.url, { method, path, headers: { Host: host } });

const protection = {
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
};

describe('the admin address', () => {
  test.each([true, false])(
    'protects every answer from other sites, with a status page or without: %s',
    async (isShown) => {
      const document = async () => ({ at: 1, recent: [] }) as unknown as StatusDocument;
      const server = await start({ statusPage: { isShown: () => isShown, document } });
      const files = [
        '',
        'icon.svg',
        'base.css',
        'main.js',
        'monitoring.md',
        'uplot.js',
        'none',
      ].map((name) => `/status/${name}`);
      const paths = [
        '/',
        '/status.json',
        '/livez',
        '/readyz',
        '/readyz?verbose',
        '/identity.json',
        '/metrics',
        '/none',
        '//',
        ...files,
      ];
      for (const path of paths) {
        for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS']) {
          expect([
            method,
            path,
            (await get(server, path, '127.0.0.1', method)).headers,
          ]).toMatchObject([method, path, protection]);
        }
        expect((await get(server, path, 'evil.example')).headers).toMatchObject(protection);
      }
    },
  );

  test.each([
    {
      what: 'unready',
      options: { readiness: () => [{ name: 'a', ok: false, reason: 'b' }] },
      path: '/readyz',
      status: 500,
    },
    {
      what: 'a bug',
      options: { metrics: () => Promise.reject(new Error('bug')) },
      path: '/metrics',
      status: 500,
    },
  ] as const)('protects its answer when there is $what', async ({ options, path, status }) => {
    expect(await get(await start(options), path)).toMatchObject({ status, headers: protection });
  });

  test.each([
    { what: 'no HTTP', request: 'nonsense\r\n\r\n', status: 400 },
    {
      what: 'a head that is too large',
      request: `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ${'a'.repeat(17 * 1024)}`,
      status: 431,
    },
    { what: 'no Host', request: 'GET /livez HTTP/1.1\r\n\r\n', status: 400 },
    {
      what: 'an unknown Expect',
      request: 'GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: more\r\n\r\n',
      status: 200,
    },
    { what: 'HTTP/1.0', request: 'GET /livez HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n', status: 200 },
    {
      what: 'a target that is not a URL',
      request: 'GET http://[/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
      status: 400,
    },
  ])('protects its answer to $what', async ({ request, status }) => {
    const raw = openRaw((await start()).port);
    raw.socket.write(request);
    await raw.closed;
    const [head = ''] = raw.received().split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    for (const [name, value] of Object.entries(protection))
      expect(head.toLowerCase()).toContain(`\r\n${name}: ${value}`);
  });

  test.each(['127.0.0.1:99999', '::ffff:8.8.8.8', '[::1]:x'])(
    'answers the odd Host %s without an internal error',
    async (host) => {
      const server = await start();
      expect((await get(server, '/livez?verbose', host)).status).toBeLessThan(500);
      expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
    },
  );

  test('is alive, and ready while all checks pass', async () => {
    let ok = true;
    const server = await start({
      readiness: () => [{ name: 'shutdown', ok, reason: 'draining since noon' }],
    });
    expect(await get(server, '/livez')).toMatchObject({ status: 200, text: 'ok' });
    expect(await get(server, '/readyz')).toMatchObject({ status: 200, text: 'ok' });
    expect((await get(server, '/readyz?verbose')).text).toBe(
      '[+]ping ok\n[+]shutdown ok\nreadyz check passed\n',
    );
    ok = false;
    expect(await get(server, '/livez')).toMatchObject({ status: 200, text: 'ok' });
    const unready = await get(server, '/readyz');
    expect(unready.status).toBe(500);
    expect(unready.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(unready.text).toBe(
      '[+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n',
    );
    expect(server.log).toContainEqual(
      expect.objectContaining({
        fields: { failed: [{ check: 'shutdown', reason: 'draining since noon' }] },
      }),
    );
  });

  test('gives the metrics with their own content type', async () => {
    const answer = await get(await start(), '/metrics');
    expect(answer).toMatchObject({ status: 200, text: 'up 1\n' });
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4');
  });

  test('beyond 64 connections the oldest of the address with the most is closed', async () => {
    const server = await start();
    const open = async (localAddress: string) => {
      const socket = connect({ port: server.port, host: '127.0.0.1', localAddress }).on(
        'error',
        () => {},
      );
      onTestFinished(() => void socket.destroy());
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      await once(socket, 'connect');
      return { socket, closed };
    };
    const kubelet = await open('127.0.0.2');
    const flood = [];
    for (let count = 0; count < 64; count++) flood.push(await open('127.0.0.3'));
    await flood[0]?.closed;
    kubelet.socket.write('GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    expect(String(await once(kubelet.socket, 'data'))).toMatch(/^HTTP\/1.1 200 /);
    expect(flood.slice(1).every(({ socket }) => socket.readyState === 'open')).toBe(true);
  });

  test.each([
    { name: 'nothing', after: '' },
    {
      name: '1,700 requests',
      after: 'GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(1_700),
    },
    {
      name: 'HTTP/1.0',
      after: 'GET /readyz HTTP/1.0\r\nConnection: keep-alive\r\nHost: 127.0.0.1\r\n\r\n',
    },
    { name: 'a request without a Host', after: 'GET /readyz HTTP/1.1\r\n\r\n' },
    { name: 'a body', after: 'x'.repeat(100_000) },
    { name: 'what is not HTTP', after: 'nonsense\r\n\r\n' },
  ])(
    'a connection gets one answer, which says so, whatever comes after the request: $name',
    async ({ after }) => {
      const readiness = vi.fn(() => []);
      const checked = Promise.withResolvers<[]>();
      const server = await start({ readiness, authenticators: () => checked.promise });
      const raw = openRaw(server.port);
      raw.socket.write(`GET /readyz?verbose HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n${after}`);
      await expect.poll(() => readiness).toHaveBeenCalled();
      raw.socket.write(after);
      // It has arrived when a later connection has its answer.
      await get(server, '/livez');
      checked.resolve([]);
      await raw.closed;
      const answer =
        /^HTTP\/1.1 200 OK\r\n.*Connection: close\r\n.*\r\n\r\n\[\+\]ping ok\nreadyz check passed\n$/is;
      expect(raw.received()).toMatch(answer);
      expect(readiness).toHaveBeenCalledOnce();
    },
  );

  test('a request may come byte by byte, and its sender may close before the answer', async () => {
    const metrics = Promise.withResolvers<{ contentType: string; body: string }>();
    const server = await start({ metrics: () => metrics.promise });
    const raw = openRaw(server.port);
    for (const byte of 'GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n') raw.socket.write(byte);
    raw.socket.end();
    await once(raw.socket, 'finish');
    // The end has arrived when a later connection has its answer.
    await get(server, '/livez');
    metrics.resolve({ contentType: 'text/plain', body: 'late' });
    await raw.closed;
    expect(raw.received()).toMatch(/^HTTP\/1.1 200 .*\r\n\r\nlate$/s);
  });

  test('a client that closes within its request gets no answer', async () => {
    const server = await start();
    const raw = openRaw(server.port);
    raw.socket.end('GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n');
    await raw.closed;
    expect(raw.received()).toBe('');
    // The timeout has not closed it.
    expect(server.log).toEqual([]);
  });

  test('a head over 16 KiB is a 431', async () => {
    const raw = openRaw((await start()).port);
    raw.socket.write(`GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ${'a'.repeat(17 * 1024)}`);
    await raw.closed;
    expect(raw.received()).toMatch(/^HTTP\/1.1 431 .*"code":431/s);
  });

  test('many requests for metrics share a rendering, and none gets one from before it', async () => {
    const first = Promise.withResolvers<void>();
    let renderings = 0;
    const metrics = async () => {
      const body = String(++renderings);
      if (renderings === 1) await first.promise;
      return { contentType: 'text/plain', body };
    };
    const server = await start({ metrics });
    const early = get(server, '/metrics');
    await expect.poll(() => renderings).toBe(1);
    const late = Array.from({ length: 50 }, () => openRaw(server.port));
    for (const { socket } of late) socket.write('GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    // They have arrived when a later connection has its answer.
    await get(server, '/livez');
    first.resolve();
    expect((await early).text).toBe('1');
    await Promise.all(late.map(({ closed }) => closed));
    expect(late.map(({ received }) => received().split('\r\n\r\n')[1])).toEqual(
      late.map(() => '2'),
    );
  });

  test('a client that does not read its answer is cut off', async () => {
    const body = 'x'.repeat(64 * 1024 * 1024);
    const server = await start({
      socketTimeout: 100,
      metrics: async () => ({ contentType: 'text/plain', body }),
    });
    const socket = connect(server.port, '127.0.0.1').pause();
    onTestFinished(() => void socket.destroy());
    socket.write('GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    const ended = 'admin connection closed: it was idle, or its answer was not read';
    await expect.poll(() => server.log.map(({ message }) => message)).toContain(ended);
    const received = (await socket.toArray()).reduce((sum, { length }) => sum + length, 0);
    expect(received).toBeLessThan(body.length);
  });

  test('metrics that fail are a 500 without detail', async () => {
    const server = await start({ metrics: () => Promise.reject(new Error('secret')) });
    const answer = await get(server, '/metrics');
    expect(answer).toMatchObject({
      status: 500,
      json: { reason: 'InternalError', message: 'internal error' },
    });
    expect(JSON.stringify(server.log)).not.toContain('secret');
  });

  test('knows nothing else', async () => {
    const server = await start();
    expect(await get(server, '/livez/')).toMatchObject({
      status: 404,
      json: { reason: 'NotFound' },
    });
    expect(await get(server, '/authenticate', '127.0.0.1', 'POST')).toMatchObject({
      status: 404,
      json: {
        message:
          'not found: here are /livez, /readyz and /metrics; token reviews go to server.listen and logins to login.listen, not to admin.listen',
      },
    });
    const answer = await get(server, '/metrics', '127.0.0.1', 'DELETE');
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  });

  test.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:80', '[evil]'])(
    'on loopback the host %j is refused',
    async (host) => {
      expect(await get(await start(), '/livez', host)).toMatchObject({
        status: 403,
        json: { reason: 'Forbidden' },
      });
    },
  );

  test.each(['localhost', 'LOCALHOST:8081', '127.0.0.1', '10.0.0.7:8081', '[::1]:8081'])(
    'on loopback the host %j passes',
    async (host) => {
      expect((await get(await start(), '/livez', host)).status).toBe(200);
    },
  );

  test('off loopback any host passes', async () => {
    const server = await start({ listen: { host: '0.0.0.0', port: 0 } });
    const answer = await send(`http://127.0.0.1:${server.port}`, {
      method: 'GET',
      path: '/livez',
      headers: { Host: 'gw' },
    });
    expect(answer.status).toBe(200);
  });

  test('answers what is not HTTP with a Status, and stays up', async () => {
    const server = await start();
    const raw = openRaw(server.port);
    raw.socket.write('nonsense\r\n\r\n');
    await raw.closed;
    expect(raw.received()).toMatch(/^HTTP\/1.1 400 Bad Request\r\n.*"reason":"BadRequest"/s);
    expect((await get(server, '/livez')).status).toBe(200);
  });

  test('a port in use is an error that names the setting and how to fix it', async () => {
    const { port } = await start();
    await expect(start({ listen: { host: '127.0.0.1', port } })).rejects.toThrow(
      `admin.listen: can't listen on 127.0.0.1:${port}: another process listens there`,
    );
  });

  test('close ends open connections', async () => {
    const server = await start();
    const socket = connect(server.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await server.close();
    await closed;
  });
});
