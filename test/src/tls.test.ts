import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { KeyPair } from '@sallyport/test-servers/certificates';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { http1Client, http2Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';

const run = promisify(execFile);

describe('with client certificates', () => {
  let backend: ScriptedBackend;
  let mutualTls: MutualTls;
  let gateway: Gateway;

  beforeAll(async () => {
    backend = await startScriptedBackend();
    backend.answerOthers(authenticated('ada'));
    mutualTls = await createMutualTls();
    const { files, tls } = mutualTls;
    const authenticators = [backend.authenticator('corp')];
    gateway = await startGateway({ files, config: { server: { tls }, authenticators } });
  });

  afterAll(() => gateway.stop());

  const clients: readonly { name: string; issue: () => Promise<KeyPair>; expected: 200 | 403 }[] = [
    {
      name: 'of another name',
      issue: () => mutualTls.clientAuthority.issueClient('system:node:a'),
      expected: 403,
    },
    {
      name: 'of a name that begins alike',
      issue: () => mutualTls.clientAuthority.issueClient('kube-apiserver.evil'),
      expected: 403,
    },
    {
      name: 'with the name among its alternative names',
      issue: () => mutualTls.clientAuthority.issueClient('other', ['DNS:kube-apiserver']),
      expected: 200,
    },
  ];

  test.each(clients)(
    'a client $name gets what its certificate allows',
    async ({ issue, expected }) => {
      const identity = mutualTls.clientWith(await issue());
      for (const createClient of [http2Client, http1Client]) {
        using client = createClient(gateway.url, identity);
        const token = randomToken();
        expect((await client.send({ body: reviewBody(token) })).status).toBe(expected);
        expect(backend.callsOf(token)).toHaveLength(expected === 200 ? 1 : 0);
      }
    },
  );

  const unaccepted: readonly {
    name: string;
    issue: () => Promise<KeyPair | undefined>;
    reason: string;
  }[] = [
    {
      name: 'without a certificate',
      issue: async () => undefined,
      reason: 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE',
    },
    {
      name: 'with a certificate of another authority',
      issue: async () => (await createAuthority('foreign')).issueClient('kube-apiserver'),
      reason: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    },
    {
      name: 'with an expired certificate',
      issue: () => mutualTls.clientAuthority.issueClient('kube-apiserver', [], true),
      reason: 'CERT_HAS_EXPIRED',
    },
    {
      name: 'with the certificate of a server',
      issue: () => mutualTls.clientAuthority.issueServer({ commonName: 'kube-apiserver' }),
      reason: 'INVALID_PURPOSE',
    },
  ];

  test.each(unaccepted)(
    'a client $name gets no answer, and the log says why, as a warning once in a while',
    async ({ issue, reason }) => {
      const identity = mutualTls.clientWith(await issue());
      for (const createClient of [http2Client, http1Client]) {
        using client = createClient(gateway.url, identity);
        const token = randomToken();
        await expect(client.send({ body: reviewBody(token) })).rejects.toThrow();
        expect(backend.callsOf(token)).toEqual([]);
      }
      const lines = () =>
        gateway.output.lines.filter(
          (line) => line.msg === 'client certificate not accepted' && line.reason === reason,
        );
      await expect.poll(lines).toHaveLength(2);
      expect(lines()).toMatchObject([
        { level: 'warn', peer: '127.0.0.1' },
        { level: 'debug', peer: '127.0.0.1' },
      ]);
    },
  );
});

describe('with clientAuth: none', () => {
  let authority: Awaited<ReturnType<typeof createAuthority>>;
  let gateway: Gateway;
  const token = randomToken();

  beforeAll(async () => {
    authority = await createAuthority('suites');
    const { certificate, key } = await authority.issueServer();
    const tls = { certFile: 'tls/server.crt', keyFile: 'tls/server.key', clientAuth: 'none' };
    const tokens = tokensFile({ [token]: 'ada' });
    const files = { 'tls/server.crt': certificate, 'tls/server.key': key, 'tokens.yaml': tokens };
    gateway = await startGateway({
      files,
      config: { server: { tls }, authenticators: [staticAuthenticator] },
    });
  });

  afterAll(() => gateway.stop());

  /** Makes a handshake. @returns the output of `openssl s_client` @throws Error where there is none */
  async function handshake(...options: readonly string[]): Promise<string> {
    const where = ['-connect', new URL(gateway.url).host, '-CAfile', authority.certificateFile];
    const client = run('openssl', [
      's_client',
      ...where,
      '-alpn',
      'h2',
      '-verify_return_error',
      ...options,
    ]);
    client.child.stdin?.end();
    return (await client).stdout;
  }

  /** Finds the suites of TLS 1.2 that the gateway accepts: OpenSSL offers all, then all but those it chose. */
  async function takenSuites(): Promise<string[]> {
    const { stdout } = await run('openssl', [
      'ciphers',
      '-s',
      '-tls1_2',
      'ALL:COMPLEMENTOFALL:@SECLEVEL=0',
    ]);
    const suites = new Set(stdout.trim().split(':'));
    const known = ['AES128-GCM-SHA256', 'AES128-SHA', 'ECDHE-RSA-AES256-SHA384'];
    expect([...suites]).toEqual(expect.arrayContaining(known));
    const taken: string[] = [];
    for (;;) {
      const answer = await handshake(
        '-tls1_2',
        '-cipher',
        `${[...suites].join(':')}:@SECLEVEL=0`,
      ).catch(({ stderr }: { stderr: string }) => stderr);
      const [, suite] = /Cipher is (\S+)/.exec(answer) ?? [];
      if (suite === undefined || !suites.delete(suite)) {
        expect(answer).toMatch(/alert handshake failure/);
        return taken.sort();
      }
      taken.push(suite);
    }
  }

  test('over TLS 1.2 suites with ECDHE and AEAD are taken, and no others, with either kind of key', async () => {
    const aead = ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'];
    expect(await takenSuites()).toEqual(aead.map((name) => `ECDHE-ECDSA-${name}`));
    // Suites without forward secrecy need a key of RSA. A reload keeps to the same list.
    const { certificate, key } = await authority.issueServer({ rsa: true });
    await gateway.write('tls/server.key', key);
    await gateway.write('tls/server.crt', certificate);
    await gateway.waitForLog('certificates reloaded');
    expect(await takenSuites()).toEqual(aead.map((name) => `ECDHE-RSA-${name}`));
    const http2 = await handshake('-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256');
    expect(http2).toContain('ALPN protocol: h2');
  });

  test('any client is served', async () => {
    using client = http2Client(gateway.url, { authority: authority.certificate });
    expect(await review(client, token)).toMatchObject({ user: { username: 'ada' } });
  });

  test('TLS 1.3 is spoken, with each of its suites', async () => {
    for (const suite of [
      'TLS_AES_128_GCM_SHA256',
      'TLS_AES_256_GCM_SHA384',
      'TLS_CHACHA20_POLY1305_SHA256',
    ]) {
      expect(await handshake('-tls1_3', '-ciphersuites', suite)).toContain(`Cipher is ${suite}\n`);
    }
  });
});
