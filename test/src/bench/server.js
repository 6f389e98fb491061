/**
 * The servers that the gateway is compared with, each in a process of its own. All answer the same constant. This is
 * JavaScript, as an installed gateway is: removing types takes 36 MiB of a process.
 */
import http2 from 'node:http2';
import Router from '@koa/router';
import Koa from 'koa';
import bodyParser from 'koa-bodyparser';

/** The user that they let in, unless Redis has another one. */
const constantUser = 'user-0';

const answerTo = ({ apiVersion }, username = constantUser) => ({
  apiVersion,
  kind: 'TokenReview',
  status: { authenticated: true, user: { username } },
});

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

/** The handlers by their `ServerKind`. */
const handlers = {
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
  'stack-redis': async ({ redisUrl }) => {
    const { createLookup } = await import('./bare-redis.ts');
    const lookUp = createLookup(redisUrl);
    return stack(async (body) => answerTo(body, await lookUp(body.spec.token)));
  },
};

function stack(answer) {
  const app = new Koa();
  const router = new Router();
  router.post('/authenticate', async (context) => {
    context.body = await answer(context.request.body);
  });
  app.use(bodyParser());
  app.use(router.routes());
  return app.callback();
}

// These lines are `answerMessages` of worker.ts, which is TypeScript.
process.on('disconnect', () => process.exit());
process.on('message', async (message) => {
  const server = http2.createSecureServer(
    { ...message.tls, allowHTTP1: true, requestCert: true, rejectUnauthorized: true },
    await handlers[message.kind](message),
  );
  server.listen(0, '127.0.0.1', () => {
    process.send({ reply: `https://127.0.0.1:${server.address().port}` });
  });
});
