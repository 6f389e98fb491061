import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { secret } from '@sallyport/test-servers/tokens';
import { waitForPromise } from '@sallyport/test-servers/wait-for';
import { http1Client } from './clients.ts';
import type { Gateway } from './gateway.ts';
import { preface } from './http2-frames.ts';
import {
  type LoginPlace,
  type LoginSetup,
  loginUrlOf,
  publicHost,
  startLogin,
} from './login-gateway.ts';

/** A connection of someone who floods. None of its errors counts. */
export interface FloodConnection {
  readonly socket: TLSSocket;
  /** Returns the bytes that it has received so far. */
  received(): Buffer;
  /** Waits until it is closed. */
  closed(): Promise<void>;
}

/** A login server over TLS, which some flood while others use it. */
export interface FloodedLogin extends AsyncDisposable {
  readonly place: LoginPlace;
  readonly gateway: Gateway;
  /** Opens a connection from 127.0.0.1. With the protocol `h2` it also sends the beginning of a connection. */
  open(protocol: 'h2' | 'http/1.1'): Promise<FloodConnection>;
  /** Logs in from 127.0.0.2, uses the session, and logs out. @throws Error unless all of it succeeds */
  expectServed(): Promise<void>;
}

export async function startFloodedLogin(setup: LoginSetup = {}): Promise<FloodedLogin> {
  await using resources = new AsyncDisposableStack();
  const authority = await createAuthority('login-authority');
  const { certificate, key } = await authority.issueServer({
    names: [`DNS:${publicHost}`, 'IP:127.0.0.1'],
  });
  const place = resources.use(
    await startLogin({
      ...setup,
      // One user may log in three times as often in a minute. The served user logs in before, during and after each flood.
      login: {
        maxSessions: 100,
        tls: { certFile: 'tls/login.crt', keyFile: 'tls/login.key' },
        ...setup.login,
      },
      files: { 'tls/login.crt': certificate, 'tls/login.key': key },
    }),
  );
  const [gateway] = place.replicas.gateways;
  if (gateway === undefined) throw new Error('no gateway');
  const url = loginUrlOf(gateway);

  async function open(protocol: 'h2' | 'http/1.1'): Promise<FloodConnection> {
    const { hostname: host, port } = new URL(url);
    const socket = connect({
      host,
      port: Number(port),
      ca: authority.certificate,
      ALPNProtocols: [protocol],
    });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    await waitForPromise(once(socket, 'secureConnect'), `a connection to ${url}`);
    if (protocol === 'h2') socket.write(preface);
    return {
      socket,
      received: () => Buffer.concat(chunks),
      closed: () => waitForPromise(closed, 'the end of the connection'),
    };
  }

  async function expectServed(): Promise<void> {
    using client = http1Client(url, {
      authority: authority.certificate,
      localAddress: '127.0.0.2',
    });
    const { name: username, password } = place.people.alice;
    const body = JSON.stringify({ username, password, cluster: 'prod' });
    const login = await client.send({ path: '/v1/sessions', headers: { host: publicHost }, body });
    if (login.status !== 201)
      throw new Error(`a login was answered ${login.status}: ${login.text}`);
    const token = secret(String((JSON.parse(login.text) as { token: unknown }).token));
    const [review] = await place.reviews(token);
    if (!review?.authenticated) throw new Error(`a review was answered ${JSON.stringify(review)}`);
    const headers = { host: publicHost, authorization: `Bearer ${token}` };
    const logout = await client.send({ method: 'DELETE', path: '/v1/session', headers });
    if (logout.status !== 204)
      throw new Error(`a logout was answered ${logout.status}: ${logout.text}`);
  }

  const owned = resources.move();
  return { place, gateway, open, expectServed, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A request of HTTP/1.1 without a session, in 52 bytes. */
export const smallRequest = 'GET /v1/session HTTP/1.1\r\nHost: logins.a.example\r\n\r\n';
