import { describe, expect, onTestFinished, test } from 'vitest';
import { send } from '../../testing/clients.ts';
import { createLog } from '../../testing/server.ts';
import type { StatusDocument } from '../status-page/collector.ts';
import { startAdminServer } from './admin.ts';

const document = { at: 1, recent: [] } as unknown as StatusDocument;

async function start(host: string, isShown: () => boolean) {
  const server = await startAdminServer({
    listen: { host, port: 0 },
    readiness: () => [],
    identity: () => ({ config: '', addresses: [] }),
    authenticators: async () => [],
    metrics: async () => ({ contentType: 'text/plain', body: '' }),
    statusPage: { isShown, document: async () => document },
    logger: createLog().logger,
  });
  onTestFinished(() => server.close());
  const url = `http://127.0.0.1:${server.port}`;
  return (path: string, { method = 'GET', host: name = '127.0.0.1' } = {}) =>
    send(url, { method, path, headers: { Host: name } });
}

const pathsOfPage = [
  '/',
  '/status.json',
  '/status/main.js',
  '/status/base.css',
  '/status/uplot.js',
  '/status/uplot.css',
];

describe('the status page', () => {
  test.each([
    { path: '/', contentType: 'text/html; charset=utf-8', part: '<h1 id="overview-title">' },
    { path: '/status.json', contentType: 'application/json; charset=utf-8', part: '"recent":[]' },
    { path: '/status/main.js', contentType: 'text/javascript; charset=utf-8', part: 'import' },
    {
      path: '/status/uplot.js',
      contentType: 'text/javascript; charset=utf-8',
      part: 'uPlot as default',
    },
    { path: '/status/uplot.css', contentType: 'text/css; charset=utf-8', part: '.uplot' },
    { path: '/status/icon.svg', contentType: 'image/svg+xml', part: '<svg' },
  ])(
    '$path is served as $contentType, and loads nothing from other hosts',
    async ({ path, contentType, part }) => {
      const get = await start('127.0.0.1', () => true);
      const { status, headers, text } = await get(path);
      expect([status, headers['content-type']]).toEqual([200, contentType]);
      expect(text).toContain(part);
      expect(headers).toMatchObject({
        'content-security-policy':
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
        'cross-origin-opener-policy': 'same-origin',
        'cache-control': 'no-store',
      });
    },
  );

  test('every file that the page names is served', async () => {
    const get = await start('127.0.0.1', () => true);
    const { text: html } = await get('/');
    const named = [...html.matchAll(/(?:src|href)="(status\/[^"]+)"/g)].map(
      ([, path]) => `/${path}`,
    );
    const { text: main } = await get('/status/main.js');
    const imported = [...main.matchAll(/from '\.\/([^']+)'/g)].map(([, name]) => `/status/${name}`);
    expect(named.length + imported.length).toBeGreaterThan(8);
    for (const path of [...named, ...imported])
      expect([path, (await get(path)).status]).toEqual([path, 200]);
  });

  test.each(pathsOfPage)('%s is read only: other methods are 405', async (path) => {
    const get = await start('127.0.0.1', () => true);
    expect(await get(path, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
    expect(await get(path, { method: 'POST' })).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    });
  });

  test.each(pathsOfPage)(
    '%s is refused to a Host that is a name, off loopback too',
    async (path) => {
      for (const listen of ['127.0.0.1', '0.0.0.0']) {
        const get = await start(listen, () => true);
        expect((await get(path, { host: 'evil.example.com' })).status).toBe(403);
        expect((await get(path, { host: 'localhost:8081' })).status).toBe(200);
      }
    },
  );

  test.each(pathsOfPage)(
    '%s is 404 if the page is not shown, which is read each time',
    async (path) => {
      let isShown = false;
      const get = await start('0.0.0.0', () => isShown);
      for (const method of ['GET', 'POST']) {
        expect(await get(path, { method })).toMatchObject({
          status: 404,
          json: { reason: 'NotFound' },
        });
      }
      isShown = true;
      expect((await get(path)).status).toBe(200);
    },
  );

  test.each([
    '/status',
    '/status/',
    '/status/../package.json',
    '/status/%2e%2e/route.ts',
    '/status/route.ts',
    '//',
    '/Status.json',
    '/%73tatus.json',
  ])('%s is 404', async (path) => {
    const get = await start('127.0.0.1', () => true);
    expect((await get(path)).status).toBe(404);
  });
});
