import { afterAll, beforeAll, expect, test } from 'vitest';
import { get, http1Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { randomToken } from './testing/tokens.ts';

let backend: ScriptedBackend;
let gateway: Gateway;

beforeAll(async () => {
  backend = await startScriptedBackend();
  backend.answerOthers(authenticated('ada'));
  const down = { name: 'down', use: './scripted-plugin.ts', options: { socket: '/nowhere', authenticator: 'down' } };
  gateway = await startGateway({ config: { authenticators: [backend.authenticator('corp'), down] } });
});

afterAll(() => gateway.stop());

test.each(['/livez', '/readyz'])('%s says ok', async (path) => {
  const response = await get(gateway.adminUrl, path);
  expect([response.status, response.text]).toEqual([200, 'ok']);
});

test('/livez?verbose lists its checks as Kubernetes does', async () => {
  const { text } = await get(gateway.adminUrl, '/livez?verbose');
  expect(text).toMatch(/^\[\+\]ping ok\n([[+\]\w -]+ ok\n)*livez check passed\n$/);
});

test('/readyz?verbose reports a backend that is down, which does not decide readiness', async () => {
  const { status, text } = await get(gateway.adminUrl, '/readyz?verbose');
  expect(status).toBe(200);
  expect(text).toMatch(/^\[\+\]ping ok\n/);
  expect(text).toMatch(/corp.* ok\n/);
  expect(text).toMatch(/down.* failed/);
  expect(text).toMatch(/readyz check passed\n$/);
  expect((await get(gateway.adminUrl, '/readyz')).text).toBe('ok');
});

test('/metrics has Node’s own metrics, and no token in it', async () => {
  using client = http1Client(gateway.url);
  const token = randomToken();
  await review(client, token);
  const { status, headers, text } = await get(gateway.adminUrl, '/metrics');
  expect(status).toBe(200);
  expect(headers['content-type']).toMatch(/^text\/plain/);
  expect(text).toMatch(/^# TYPE nodejs_eventloop_lag_seconds gauge$/m);
  expect(text).toMatch(/^process_cpu_seconds_total \d/m);
  expect(text).not.toContain(token);
});

test('a Host that is no address of this machine is refused: another site’s name points here', async () => {
  for (const path of ['/metrics', '/livez', '/readyz?verbose']) {
    const { status, text } = await get(gateway.adminUrl, path, { host: 'evil.example.com' });
    expect(status).toBe(403);
    expect(text).not.toContain('nodejs_');
  }
  expect((await get(gateway.adminUrl, '/livez', { host: 'localhost:8081' })).status).toBe(200);
});

test('reviews are not answered on the admin address, nor metrics on the other', async () => {
  using client = http1Client(gateway.adminUrl);
  expect((await client.send({ body: '{}' })).status).toBe(404);
  expect((await get(gateway.url, '/metrics')).status).toBe(404);
  expect((await get(gateway.url, '/readyz')).status).toBe(404);
});

test('other methods are answered 405', async () => {
  using client = http1Client(gateway.adminUrl);
  const response = await client.send({ path: '/livez', body: '{}' });
  expect([response.status, response.headers.allow]).toEqual([405, 'GET, HEAD']);
});
