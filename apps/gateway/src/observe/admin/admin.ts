import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import Router from '@koa/router';
import type { Logger } from '@sallyport/authenticator';
import { isLoopback } from '@sallyport/plugin-kit';
import Koa, { type Context, type Middleware } from 'koa';
import type { ListenAddress } from '../../config/types.ts';
import { answerErrors, answerUnreadable, refuseUnmatched } from '../../http/answer-errors.ts';
import { stopParsing } from '../../http/connections.ts';
import { authority, lacksHost, listen } from '../../http/http-server.ts';
import { StatusError } from '../../http/kubernetes-status.ts';
import { createSocketLimit } from '../../http/socket-limit.ts';
import { type HealthChecks, healthAnswer } from '../health.ts';
import { createStatusPage, requireLocalHost, type StatusPageSource } from '../status-page/route.ts';
import { type GatewayIdentity, identityPath } from './identity.ts';

export interface AdminServerOptions {
  readonly listen: ListenAddress;
  /** The checks of `/readyz`, read at each request. The answer adds `ping`. */
  readonly readiness: () => HealthChecks;
  /** The checks that `/readyz?verbose` shows as well, read at each request. They do not decide readiness. */
  readonly authenticators: () => Promise<HealthChecks>;
  readonly identity: () => GatewayIdentity;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  readonly statusPage: StatusPageSource;
  readonly logger: Logger;
  /**
   * The milliseconds after which a connection that is idle, or does not read its answer, is closed. Tests shorten them.
   */
  readonly socketTimeout?: number | undefined;
}

/** The server of `/livez`, `/readyz`, `/metrics` and the status page, over plain HTTP. */
export type AdminServer = Awaited<ReturnType<typeof startAdminServer>>;

/** Maximum number of open connections. A browser opens six, Prometheus and the kubelet one each. */
const maxConnections = 64;

/** Maximum number of bytes of headers; more are answered 431. */
const maxHeaderSize = 16 * 1024;

/** The milliseconds between two renderings of the metrics, or of the status: reviews wait for a rendering. */
const renderInterval = 250;

/**
 * Listens on `admin.listen`. Each connection has one request: Node would make some 1,700 of the 64 KiB that it reads of a
 * socket at a time, and hold them with their answers until the first answer is sent.
 *
 * @throws Error naming the address and how to fix it
 */
export async function startAdminServer(options: AdminServerOptions) {
  const { logger, socketTimeout = 10_000 } = options;
  const answer = createAdminApp(options).callback();
  const server = createServer({ requireHostHeader: false, maxHeaderSize });
  // A client that closes after its request, as `nc -N` does, still gets the answer.
  Object.assign(server, { httpAllowHalfOpen: true });
  const requestedSockets = new WeakSet<Socket>();
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    requestedSockets.add(request.socket);
    stopParsing(request.socket);
    response.setHeaders(headers);
    void answer(request, response);
  };
  // Node's own answers to a request without a Host, or with an unknown Expect, lack the headers.
  server.on('request', handle).on('checkExpectation', handle);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // What follows the request is not parsed.
    if (requestedSockets.has(socket)) return;
    if (error.code === 'HPE_INVALID_EOF_STATE') socket.destroy();
    else answerUnreadable(error, socket);
  });
  const sockets = new Set<Socket>();
  // Memory and file descriptors are shared with reviews: clients that do not read their answers must not use up either.
  const limit = createSocketLimit(maxConnections, (peer) => {
    logger.debug({ peer }, 'admin connection closed: too many are open');
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    limit.add(socket);
    socket.setTimeout(socketTimeout, () => {
      logger.debug({}, 'admin connection closed: it was idle, or its answer was not read');
      socket.destroy();
    });
  });
  const port = await listen(server, options.listen, 'admin.listen');
  return {
    url: `http://${authority(options.listen.host, port)}`,
    port,
    async close(): Promise<void> {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** The headers of every answer: no other site can load it into its page, even if the browser takes it for something else. */
const headers = new Map([
  ['Connection', 'close'],
  ['X-Content-Type-Options', 'nosniff'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
]);

function createAdminApp(options: AdminServerOptions): Koa {
  const { listen: address, readiness, authenticators, statusPage, logger } = options;
  const interval = () => setTimeout(renderInterval, undefined, { ref: false });
  // The metrics are bytes, which all answers share.
  const metrics = paced(async () => {
    const { contentType, body } = await options.metrics();
    return { contentType, body: Buffer.from(body) };
  }, interval);
  const document = paced(
    async () => Buffer.from(JSON.stringify(await statusPage.document())),
    interval,
  );
  const router = new Router({ strict: true, sensitive: true });
  router.get('/livez', (context) => answerHealth(context, logger, 'livez', []));
  router.get('/readyz', async (context) => {
    const checks = readiness();
    const authenticatorChecks = 'verbose' in context.query ? await authenticators() : [];
    const notes = authenticatorChecks.map((note) => ({
      ...note,
      name: `authenticator/${note.name}`,
    }));
    answerHealth(context, logger, 'readyz', checks, notes);
  });
  router.get(identityPath, (context) => {
    context.body = options.identity();
  });
  router.get('/metrics', async (context) => {
    const { contentType, body } = await metrics();
    context.set('Content-Type', contentType);
    context.body = body;
  });

  const app = new Koa();
  app.use(answerErrors(logger));
  app.use(requireHost);
  if (isLoopback(address.host)) app.use(requireLocalHost);
  app.use(createStatusPage(statusPage.isShown, document));
  app.use(router.routes());
  app.use(
    refuseUnmatched(
      'GET, HEAD',
      'not found: here are /livez, /readyz and /metrics; token reviews go to server.listen and logins to login.listen, not to admin.listen',
    ),
  );
  app.on('error', (error: Error) => logger.debug({ type: error.name }, 'answer not delivered'));
  return app;
}

const requireHost: Middleware = ({ req }, next) => {
  if (lacksHost(req)) throw new StatusError(400, 'the Host header is missing');
  return next();
};

function answerHealth(
  context: Context,
  logger: Logger,
  name: string,
  checks: HealthChecks,
  notes: HealthChecks = [],
) {
  const { ok, body } = healthAnswer(name, checks, 'verbose' in context.query, notes);
  for (const note of notes.filter(({ ok }) => !ok)) {
    logger.debug(
      { check: note.name, reason: note.reason },
      'a check that does not affect readiness failed',
    );
  }
  if (!ok) {
    const failed = checks
      .filter((check) => !check.ok)
      .map((check) => ({ check: check.name, reason: check.reason }));
    logger.debug({ failed }, `${name} check failed`);
  }
  context.status = ok ? 200 : 500;
  context.body = body;
}

/**
 * Calls `make` for all callers, one call at a time and with an interval after each. Callers during a call or an
 * interval share the next call, so no one gets a value from before they asked.
 *
 * @param interval settles when the next call may begin
 */
export function paced<Value>(
  make: () => Promise<Value>,
  interval: () => Promise<void>,
): () => Promise<Value> {
  let free = Promise.resolve();
  let next: Promise<Value> | undefined;
  return () => {
    next ??= free.then(() => {
      next = undefined;
      const pending = make();
      free = pending.then(interval, interval);
      return pending;
    });
    return next;
  };
}
