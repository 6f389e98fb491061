import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa, { type Context } from 'koa';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createArrivingBodies } from './arriving-bodies.ts';
import { createBodyReader } from './read-body.ts';
import type { StatusError } from './status.ts';
import { openRaw, randomToken, rawPost, review, send } from './testing/clients.ts';

/** A server of one middleware. */
async function serve(answer: (context: Context) => Promise<void>): Promise<number> {
  const app = new Koa();
  app.silent = true;
  app.use(answer);
  const server = createServer(app.callback()).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('the body is handed over, and the request keeps neither its text nor its content', async () => {
  const readBody = createBodyReader(() => 1000, 1000, createArrivingBodies());
  const token = randomToken();
  const seen: { body?: unknown; context?: Context } = {};
  const port = await serve(async (context) => {
    seen.body = await readBody(context);
    seen.context = context;
    context.status = 204;
  });
  await send(`http://127.0.0.1:${port}`, { body: review({ token }) });
  expect(seen.body).toMatchObject({ spec: { token } });
  expect(seen.context?.request.rawBody).toBeUndefined();
  expect(seen.context?.request.body).toBeUndefined();
});

test.each([
  ['takes too long', 408, 20, 10],
  ['is the oldest of too many', 429, 60_000, 1],
])('a body that %s is refused, and nothing of it is held or collected', async (_what, code, timeout, count) => {
  const readBody = createBodyReader(() => 1000, timeout, createArrivingBodies({ count, bytes: 10_000 }));
  const refused: { error: StatusError; listeners: number }[] = [];
  const port = await serve(async (context) => {
    const { req } = context;
    await readBody(context).catch((error) => refused.push({ error, listeners: req.listenerCount('data') }));
  });
  const half = rawPost('{"', ['Content-Length: 100']);
  openRaw(port).socket.write(half);
  if (code === 429) openRaw(port).socket.write(half);
  await vi.waitFor(() => expect(refused).toHaveLength(1));
  expect(refused).toMatchObject([{ error: { code }, listeners: 0 }]);
});
