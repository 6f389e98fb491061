/** The servers that the gateway is compared with, each in a process of its own. All answer the same constant. */
import http2, { type SecureServerOptions } from 'node:http2';
import type { AddressInfo } from 'node:net';
import Router from '@koa/router';
import Koa, { type Context } from 'koa';
import bodyParser from 'koa-bodyparser';
import { createLookup } from './bare-redis.ts';
import { answerMessages } from './worker.ts';

/** `http2` is only Node, `koa` is Koa with a few lines that read the body, `stack` is Koa, @koa/router and koa-bodyparser. */
export type ServerKind = 'http2' | 'koa' | 'stack' | 'stack-redis';

export interface ServerMessage {
  readonly kind: ServerKind;
  /** PEM texts: a certificate, its key, and the authority of the clients. */
  readonly tls: Pick<SecureServerOptions, 'cert' | 'key' | 'ca'>;
  /** The Redis in which `stack-redis` looks each token up. */
  readonly redisUrl?: string;
}

/** The user that they all let in. */
export const constantUser = 'user-0';

type Body = { readonly apiVersion: string; readonly spec: { readonly token: string } };

const answerTo = ({ apiVersion }: Body, username = constantUser) => ({
  apiVersion,
  kind: 'TokenReview',
  status: { authenticated: true, user: { username } },
});

async function read(request: AsyncIterable<Buffer>): Promise<Body> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString()) as Body;
}

type Handler = ReturnType<Koa['callback']>;

const handlers: Record<ServerKind, (message: ServerMessage) => Handler> = {
  http2: () => async (request, response) => {
    const text = JSON.stringify(answerTo(await read(request)));
    response.statusCode = 200;
    response.setHeader('content-type', 'application/json');
    response.setHeader('content-length', Buffer.byteLength(text));
    response.end(text);
  },
  koa: () => {
    const app = new Koa();
    app.use(async (context) => {
      context.body = answerTo(await read(context.req));
    });
    return app.callback();
  },
  stack: () => stack((body) => answerTo(body)),
  'stack-redis': ({ redisUrl = '' }) => stackWithRedis(redisUrl),
};

function stack(answer: (body: Body) => object | Promise<object>): Handler {
  const app = new Koa();
  const router = new Router();
  router.post('/authenticate', async (context: Context) => {
    context.body = await answer(context.request.body as Body);
  });
  app.use(bodyParser());
  app.use(router.routes());
  return app.callback();
}

function stackWithRedis(url: string): Handler {
  const lookUp = createLookup(url);
  return stack(async (body) => answerTo(body, await lookUp(body.spec.token)));
}

answerMessages<ServerMessage, string>(async (message) => {
  const server = http2.createSecureServer(
    { ...message.tls, allowHTTP1: true, requestCert: true, rejectUnauthorized: true },
    handlers[message.kind](message),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
