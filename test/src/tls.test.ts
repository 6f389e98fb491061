import { mkdir, writeFile } from 'node:fs/promises';
import { connect, type SecureVersion } from 'node:tls';
import { within } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from './testing/certificates.ts';
import { type ClientTls, http1Client, http2Client, review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { temporaryFolder } from './testing/folder.ts';
import { configText, type Gateway, startGateway } from './testing/gateway.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import { authenticated, type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';
import { randomToken } from './testing/tokens.ts';

let backend: ScriptedBackend;
let mutualTls: MutualTls;
let gateway: Gateway;

beforeAll(async () => {
  backend = await startScriptedBackend();
  backend.answerOthers(authenticated('ada'));
  mutualTls = await createMutualTls();
  const { files, tls } = mutualTls;
  gateway = await startGateway({ files, config: { server: { tls }, authenticators: [backend.authenticator('corp')] } });
});

afterAll(() => gateway.stop());

/** The protocol that a handshake ends with, or the error. */
async function handshake(
  client: ClientTls,
  minVersion: SecureVersion,
  maxVersion: SecureVersion,
): Promise<string | null> {
  const { hostname, port } = new URL(gateway.url);
  const { authority: ca, certificate: cert, key } = client;
  const ciphers = 'DEFAULT@SECLEVEL=0';
  const socket = connect({ host: hostname, port: Number(port), ca, cert, key, minVersion, maxVersion, ciphers });
  const ended = new Promise<string | null>((resolve, reject) => {
    socket.once('secureConnect', () => resolve(socket.getProtocol())).once('error', reject);
  });
  return await within(ended, 'a handshake').finally(() => socket.destroy());
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s is spoken', async (version) => {
  expect(await handshake(mutualTls.client, version, version)).toBe(version);
});

test.each(['TLSv1', 'TLSv1.1'] as const)('%s is refused', async (version) => {
  await expect(handshake(mutualTls.client, version, version)).rejects.toThrow(/alert|protocol version|ECONNRESET/i);
});

describe.each([
  ['HTTP/2', http2Client],
  ['HTTP/1.1', http1Client],
] as const)('over %s', (_name, createClient) => {
  test('a client of another name is answered 403, on each request', async () => {
    const kubelet = mutualTls.clientWith(await mutualTls.clientAuthority.issueClient('system:node:a'));
    using client = createClient(gateway.url, kubelet);
    const token = randomToken();
    for (let request = 0; request < 3; request++) {
      const response = await client.send({ body: reviewBody(token) });
      expect(response.status).toBe(403);
      expect(JSON.parse(response.text)).toMatchObject({ kind: 'Status', reason: 'Forbidden', code: 403 });
    }
    expect(backend.callsOf(token)).toEqual([]);
  });

  test.each(['kube-apiserver.evil', 'Kube-apiserver', 'kube-apiserve', 'kube-apiserver '])(
    'a client called "%s" is not taken for kube-apiserver',
    async (name) => {
      const pair = await mutualTls.clientAuthority.issueClient(name);
      using client = createClient(gateway.url, mutualTls.clientWith(pair));
      expect((await client.send({ body: reviewBody(randomToken()) })).status).toBe(403);
    },
  );

  test('a client with the name among its alternative names is served', async () => {
    const pair = await mutualTls.clientAuthority.issueClient('other', ['DNS:kube-apiserver']);
    using client = createClient(gateway.url, mutualTls.clientWith(pair));
    expect(await review(client, randomToken())).toMatchObject({ authenticated: true });
  });

  test('a client without a certificate is refused', async () => {
    using client = createClient(gateway.url, mutualTls.clientWith());
    await expect(review(client, randomToken())).rejects.toThrow();
  });

  test('a client with a certificate of another authority is refused', async () => {
    const foreign = await createAuthority('foreign');
    using client = createClient(gateway.url, mutualTls.clientWith(await foreign.issueClient('kube-apiserver')));
    await expect(review(client, randomToken())).rejects.toThrow();
  });

  test('a client with the certificate of a server is refused', async () => {
    const pair = await mutualTls.clientAuthority.issueServer({ commonName: 'kube-apiserver' });
    using client = createClient(gateway.url, mutualTls.clientWith(pair));
    await expect(review(client, randomToken())).rejects.toThrow();
  });
});

test('an explicit clientAuth: none serves any client', async () => {
  const { files, clientWith } = mutualTls;
  const tls = { certFile: 'tls/server.crt', keyFile: 'tls/server.key', clientAuth: 'none' };
  const config = { server: { tls }, authenticators: [backend.authenticator('corp')] };
  await using open = await startGateway({ files, config });
  using client = http2Client(open.url, clientWith());
  expect(await review(client, randomToken())).toMatchObject({ authenticated: true });
});

/** Runs `serve` on a config that can't work; gives what it says. */
async function refusedStart(server: object, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await temporaryFolder('refused');
  await mkdir(`${folder}/tls`);
  const config = { server, authenticators: [{ name: 'corp', use: 'static', options: { tokensFile: 'tokens.yaml' } }] };
  const all = { ...files, 'tokens.yaml': 'tokens: []\n', 'gateway.yaml': configText(config) };
  await Promise.all(Object.entries(all).map(([name, text]) => writeFile(`${folder}/${name}`, text)));
  const result = await runCommand(['serve', '--config', `${folder}/gateway.yaml`], { cwd: folder });
  expect(result.code).toBe(1);
  return result.stderr;
}

test('plain HTTP off loopback is refused at start, with how to fix it', async () => {
  const message = await refusedStart({ listen: '0.0.0.0:0' });
  expect(message).toMatch(/gateway\.yaml/);
  expect(message).toMatch(/server\.(listen|tls)/);
  expect(message).toMatch(/loopback|127\.0\.0\.1/);
});

test('TLS without a word on clients is refused at start', async () => {
  const message = await refusedStart(
    { tls: { certFile: 'tls/server.crt', keyFile: 'tls/server.key' } },
    mutualTls.files,
  );
  expect(message).toMatch(/clientAuth/);
});

test('a certificate with the key of another is refused at start', async () => {
  const { key } = await mutualTls.clientAuthority.issueClient('kube-apiserver');
  const message = await refusedStart({ tls: mutualTls.tls }, { ...mutualTls.files, 'tls/server.key': key });
  expect(message).toMatch(/server\.key|keyFile/);
});
