import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa, { type Context } from 'koa';
import { expect, onTestFinished, test } from 'vitest';
import { createBodyReader } from './read-body.ts';
import { randomToken, review, send } from './testing/clients.ts';

test('the body is handed over, and the request keeps neither its text nor its content', async () => {
  const readBody = createBodyReader(() => 1000, 1000);
  const token = randomToken();
  const seen: { body?: unknown; context?: Context } = {};
  const app = new Koa();
  app.use(async (context) => {
    seen.body = await readBody(context);
    seen.context = context;
    context.status = 204;
  });
  const server = createServer(app.callback()).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  await send(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { body: review({ token }) });
  expect(seen.body).toMatchObject({ spec: { token } });
  expect(seen.context?.request.rawBody).toBeUndefined();
  expect(seen.context?.request.body).toBeUndefined();
});
