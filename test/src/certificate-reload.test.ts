import { connect } from 'node:tls';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitForPromise } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { type Client, http1Client, http2Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import { openRawSocket, rawRequest } from './testing/raw-socket.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';

interface Secure extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly mutualTls: MutualTls;
}

async function startSecure(server: object = {}): Promise<Secure> {
  const mutualTls = await createMutualTls();
  const backend = await startScriptedBackend();
  backend.answerOthers(authenticated('ada'));
  const { files, tls } = mutualTls;
  const config = { server: { tls, ...server }, authenticators: [backend.authenticator('corp')] };
  const gateway = await startGateway({ files, config });
  return { gateway, mutualTls, [Symbol.asyncDispose]: () => gateway.stop() };
}

/** Reads the fingerprint of the certificate that a new connection gets. */
async function shownCertificate({ gateway, mutualTls }: Secure): Promise<string> {
  const { authority: ca, certificate: cert, key } = mutualTls.client;
  const { hostname: host, port } = new URL(gateway.url);
  const socket = connect({ host, port: Number(port), ca, cert, key });
  const shown = new Promise<string>((resolve, reject) => {
    socket
      .once('secureConnect', () => resolve(socket.getPeerCertificate().fingerprint256))
      .once('error', reject);
  });
  return await waitForPromise(shown, 'a handshake').finally(() => socket.destroy());
}

const isYes = { authenticated: true, user: { username: 'ada', groups: [] } };

async function expectYes(client: Client): Promise<void> {
  expect(await review(client, randomToken())).toEqual(isYes);
}

describe.concurrent('certificates', () => {
  test('a new pair is taken once both files are there, for new connections, and no open one is dropped', async () => {
    await using secure = await startSecure();
    const { gateway, mutualTls } = secure;
    using overHttp2 = http2Client(gateway.url, mutualTls.client);
    using raw = await openRawSocket(gateway.url, mutualTls.client);
    await expectYes(overHttp2);
    raw.send(rawRequest(reviewBody(randomToken())));
    await raw.received(/"username":"ada"/);
    const before = await shownCertificate(secure);
    const session = overHttp2.session();

    const pair = await mutualTls.serverAuthority.issueServer();
    await gateway.write('tls/server.crt', pair.certificate);
    // There is no SIGHUP: the gateway could handle it when both files are there, and log no reload of certificates.
    const refusal = await gateway.waitForLog('certificate reload refused');
    expect(refusal).toMatchObject({
      level: 'error',
      problems: [expect.stringMatching(/server\.(crt|key)/)],
    });
    expect(await shownCertificate(secure)).toBe(before);

    await gateway.write('tls/server.key', pair.key);
    await gateway.waitForLog('certificates reloaded');

    expect(await shownCertificate(secure)).not.toBe(before);
    await expectYes(overHttp2);
    expect(overHttp2.session()).toBe(session);
    raw.send(rawRequest(reviewBody(randomToken())));
    await raw.received(/"username":"ada".*"username":"ada"/s);
  });

  test('a new client authority lets the connections of the old one go, without losing a review', async () => {
    await using secure = await startSecure();
    const { gateway, mutualTls } = secure;
    using overHttp2 = http2Client(gateway.url, mutualTls.client);
    using raw = await openRawSocket(gateway.url, mutualTls.client);
    await expectYes(overHttp2);
    raw.send(rawRequest(reviewBody(randomToken())));
    await raw.received(/"username":"ada"/);
    const session = overHttp2.session();
    const away = new Promise((resolve) => session.once('goaway', resolve));
    const ended = new Promise((resolve) => session.once('close', resolve));

    const authority = await createAuthority('next');
    const client = mutualTls.clientWith(await authority.issueClient('kube-apiserver'));
    await gateway.write('tls/client-ca.crt', authority.certificate);
    gateway.signal('SIGHUP');
    await waitForPromise(away, 'GOAWAY');
    await waitForPromise(ended, 'the end of the session');
    await raw.closed();
    await expect(review(overHttp2, randomToken())).rejects.toThrow();
    using next = http1Client(gateway.url, client);
    await expectYes(next);
  });

  test('a connection is let go at maxConnectionAge, and no review is lost by it', async () => {
    await using secure = await startSecure({ maxConnectionAge: '300ms' });
    const { gateway, mutualTls } = secure;
    using overHttp2 = http2Client(gateway.url, mutualTls.client);
    const sessions = new Set();
    while (sessions.size < 3) {
      await expectYes(overHttp2);
      sessions.add(overHttp2.session());
    }
    using overHttp1 = http1Client(gateway.url, mutualTls.client, 1);
    let ends = 0;
    while (ends < 2) {
      const response = await overHttp1.send({ body: reviewBody(randomToken()) });
      expect(response.status).toBe(200);
      ends += response.headers.connection === 'close' ? 1 : 0;
    }
  });
});
