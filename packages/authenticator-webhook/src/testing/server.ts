import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { type Authority, sharedAuthority } from '@sallyport/test-servers/certificates';
import { onTestFinished } from 'vitest';

/** A TokenReview as it arrived. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The parsed body. */
  readonly review: { readonly apiVersion: string; readonly kind: string; readonly spec: Spec };
  /** The name in the client's certificate. */
  readonly client?: string | undefined;
}

interface Spec {
  readonly token: string;
  readonly audiences?: readonly string[];
}

/** An answer. A body that is an object becomes JSON. */
export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object | string | Buffer;
}

/** Returns a reply, writes the answer itself, or does not answer. */
export type Behaviour = (received: Received, answer: ServerResponse) => Reply | undefined;

/** A server on loopback that answers reviews. */
export interface ReviewServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly authority: Authority;
  /** All reviews that arrived, in their order. */
  readonly received: readonly Received[];
  /** Connections that were accepted so far. */
  readonly connections: number;
  behave(behaviour: Behaviour): void;
  stop(): Promise<void>;
  start(): Promise<void>;
  hang(): Promise<void>;
}

interface ServerSetup {
  /** Uses clear text. */
  readonly plain?: boolean;
  /** Requires a client certificate of this authority. */
  readonly clientAuthority?: Authority;
  readonly names?: readonly string[];
}

/** Starts a server as `startReviewServer` does, until the end of the test. */
export async function serve(
  behaviour: Behaviour = letIn,
  setup?: ServerSetup,
): Promise<ReviewServer> {
  const server = await startReviewServer(behaviour, setup);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

/** The user of `letIn`. */
export const user = { username: 'jane' };

/** Lets everyone in. */
export const letIn: Behaviour = () => ({ body: reviewWith({ authenticated: true, user }) });

export async function startReviewServer(
  behaviour: Behaviour,
  setup: ServerSetup = {},
): Promise<ReviewServer> {
  const authority = await sharedAuthority();
  const server = await listener(authority, setup);
  const sockets = new Set<Socket>();
  const received: Received[] = [];
  let connections = 0;
  let current = behaviour;
  let isHung = false;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('request', (incoming: IncomingMessage, answer: ServerResponse) => {
    void receive(incoming).then((one) => {
      if (one === undefined) return;
      received.push(one);
      const reply = isHung ? undefined : current(one, answer);
      if (reply !== undefined) send(answer, reply);
    });
  });
  const listen = (port: number) =>
    new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    if (server.listening) await closed;
  };
  return {
    url: `${setup.plain ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    authority,
    received,
    get connections() {
      return connections;
    },
    behave: (next) => {
      current = next;
    },
    stop,
    async start() {
      isHung = false;
      if (!server.listening) await listen(port);
    },
    async hang() {
      isHung = true;
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function listener(
  authority: Authority,
  setup: ServerSetup,
): Promise<http.Server | https.Server> {
  const options = { keepAliveTimeout: 60_000 };
  if (setup.plain) return http.createServer(options);
  const { certificate, key } = await (setup.names
    ? authority.issueServer({ names: setup.names })
    : authority.sharedServer());
  const ca = setup.clientAuthority?.certificate;
  return https.createServer({
    ...options,
    cert: certificate,
    key,
    ...(ca !== undefined && { ca, requestCert: true, rejectUnauthorized: true }),
  });
}

/** Reads a review. @returns undefined if the client left before all of it arrived */
async function receive(incoming: IncomingMessage): Promise<Received | undefined> {
  const { method = '', url: path = '', headers, socket } = incoming;
  try {
    const review = JSON.parse(await text(incoming));
    const certificate =
      'getPeerCertificate' in socket ? (socket as TLSSocket).getPeerCertificate() : undefined;
    return {
      method,
      path,
      headers,
      review,
      client: certificate?.subject?.CN as string | undefined,
    };
  } catch {
    return undefined;
  }
}

function send(answer: ServerResponse, { status = 200, headers = {}, body = '' }: Reply): void {
  const isText = typeof body === 'string' || Buffer.isBuffer(body);
  answer.writeHead(status, { 'content-type': 'application/json', ...headers });
  answer.end(isText ? body : JSON.stringify(body));
}

/** A TokenReview with this status. */
export const reviewWith = (status: object, version = 'v1'): object => ({
  apiVersion: `authentication.k8s.io/${version}`,
  kind: 'TokenReview',
  status,
});
