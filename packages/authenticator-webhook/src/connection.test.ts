import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { open } from './testing/open.ts';
import { letIn, reviewWith, serve, user } from './testing/server.ts';
import { optionsFor, prefix } from './testing/written-options.ts';

const folder = mkdtempSync(join(tmpdir(), 'webhook-'));
afterAll(() => rmSync(folder, { recursive: true }));

const token = `${prefix}a-token`;
const authenticated = { kind: 'authenticated', user };

describe('TLS', () => {
  test('the client certificate, the CA and the name are those of the options', async () => {
    const clientAuthority = await createAuthority('clients');
    onTestFinished(() => clientAuthority[Symbol.asyncDispose]());
    const client = await clientAuthority.issueClient('the-gateway');
    const server = await serve(letIn, { clientAuthority, names: ['DNS:webhook.example.com'] });
    const files = {
      certFile: client.certificateFile,
      keyFile: client.keyFile,
      serverName: 'webhook.example.com',
    };
    const { ask } = await open(optionsFor(server, files));
    expect(await ask(token)).toEqual(authenticated);
    expect(server.received[0]?.client).toBe('the-gateway');
    const { certFile: _, keyFile: __, ...without } = files;
    const messages = await Promise.all(
      [
        optionsFor(server, without),
        optionsFor(server, { ...files, serverName: undefined }),
        optionsFor(server, { ...files, caFile: clientAuthority.certificateFile }),
      ].map(async (options) => (await open(options)).failure(token)),
    );
    expect(messages).toEqual([
      { code: 'unavailable', message: expect.stringContaining('certFile') },
      {
        code: 'unavailable',
        message: expect.stringContaining('not for 127.0.0.1 but for DNS:webhook.example.com'),
      },
      { code: 'unavailable', message: expect.stringContaining('a CA that is not trusted here') },
    ]);
  });

  test('a certificate is checked, whatever the environment says', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    onTestFinished(() => void vi.unstubAllEnvs());
    const server = await serve();
    const { failure } = await open(optionsFor(server, { caFile: undefined }));
    expect(await failure(token)).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('a CA that is not trusted here'),
    });
    expect(server.received).toEqual([]);
  });

  test('a new client certificate is used from the next connection on, and no review is lost', async () => {
    const clientAuthority = await createAuthority('clients');
    onTestFinished(() => clientAuthority[Symbol.asyncDispose]());
    const [first, second] = [
      await clientAuthority.issueClient('first'),
      await clientAuthority.issueClient('second'),
    ];
    const [certFile, keyFile] = [join(folder, 'client.crt'), join(folder, 'client.key')];
    const write = (pair: typeof first) => {
      writeFileSync(certFile, pair.certificate);
      writeFileSync(keyFile, pair.key);
    };
    write(first);
    const release = Promise.withResolvers<void>();
    const server = await serve(letIn, { clientAuthority });
    const { ask, recorded } = await open(optionsFor(server, { certFile, keyFile }));
    expect(await ask(token)).toEqual(authenticated);
    server.behave((received, answer) => {
      void release.promise.then(() =>
        answer.end(JSON.stringify(reviewWith({ authenticated: true, user }))),
      );
      return received.client === 'second'
        ? { body: reviewWith({ authenticated: true, user }) }
        : undefined;
    });
    const inProgress = ask(token);
    write(second);
    await recorded.touch();
    expect(await ask(token)).toEqual(authenticated);
    release.resolve();
    expect(await inProgress).toEqual(authenticated);
    expect(server.received.map(({ client }) => client)).toEqual(['first', 'first', 'second']);
  });
});

describe('bearerFile', () => {
  const bearerFile = join(folder, 'bearer');

  test('is followed, and a bad one leaves the old one in force', async () => {
    writeFileSync(bearerFile, 'one\n');
    const server = await serve();
    const { ask, recorded } = await open(optionsFor(server, { bearerFile }));
    const sent = async () => {
      await ask(token);
      return server.received.at(-1)?.headers.authorization;
    };
    expect(await sent()).toBe('Bearer one');
    for (const bad of ['', '\n', 'a b', 'a\r\nx: y', 'ü', 'a'.repeat(64 * 1024 + 1)]) {
      writeFileSync(bearerFile, bad);
      expect(await recorded.touch()).toHaveLength(1);
      expect(await sent()).toBe('Bearer one');
    }
    writeFileSync(bearerFile, 'two');
    await recorded.touch();
    expect(await sent()).toBe('Bearer two');
  });

  test('is refused at the start when it has no token', async () => {
    writeFileSync(bearerFile, '');
    const server = await serve();
    await expect(open(optionsFor(server, { bearerFile }))).rejects.toThrow(
      'bearerFile has no token',
    );
  });
});
