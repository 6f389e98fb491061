import { createAuthority } from '@sallyport/test-servers/certificates';
import { errorOf } from '@sallyport/test-servers/error-of';
import { listenForNoise } from '@sallyport/test-servers/noise';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { content, type Opened, open, storeKey } from './testing/opened.ts';

const resources = new AsyncDisposableStack();
afterAll(() => resources.disposeAsync());

interface Servers {
  readonly plain: RedisServer;
  /** Its certificate has only another name, and it speaks TLS 1.2. */
  readonly named: RedisServer;
  readonly expired: RedisServer;
  /** Requires a certificate of clients. */
  readonly strict: RedisServer;
}
let servers: Servers;

beforeAll(async () => {
  async function start(
    names?: readonly string[],
    more: Record<string, string> = {},
    expired = false,
  ): Promise<RedisServer> {
    const authority = resources.use(await createAuthority());
    const { certificateFile, keyFile } = await authority.issueServer({
      ...(names && { names }),
      expired,
    });
    const settings = { 'tls-cert-file': certificateFile, 'tls-key-file': keyFile, ...more };
    return resources.use(await startRedis({ authority, settings }));
  }
  servers = {
    plain: resources.use(await startRedis()),
    named: await start(['DNS:redis.example.com'], { 'tls-protocols': 'TLSv1.2' }),
    expired: await start(undefined, {}, true),
    strict: resources.use(await startRedis({ requiresClientCertificate: true })),
  };
});

async function login(redis: RedisServer, written: object): Promise<string> {
  const noise = listenForNoise();
  const key = await storeKey(redis);
  await using started = await open({ url: redis.tlsUrl, caFile: redis.caFile, ...written });
  const end = await started
    .read(key)
    .then(String, (error: Error) => error.message.replace(`${redis.tlsUrl}: not connected: `, ''));
  if (end !== content) {
    expect((await errorOf(started.read(key))).message).toBe(
      `${redis.tlsUrl}: not connected: ${end}`,
    );
    expect(started.values.get('connected')).toBe(0);
  }
  expect(noise).toEqual([]);
  return end;
}

describe('a server with TLS', () => {
  test('is trusted for its authority and its name', async () => {
    expect(await login(servers.plain, {})).toBe(content);
    expect(await login(servers.plain, { minVersion: 'TLSv1.3' })).toBe(content);
    expect(await login(servers.plain, { serverName: 'localhost' })).toBe(content);
    expect(await login(servers.named, { serverName: 'redis.example.com' })).toBe(content);
  });

  test('of an unknown authority is refused', async () => {
    const unknown =
      "the server's certificate is signed by a CA that is not trusted here: put the certificate of that CA into caFile";
    expect(await login(servers.plain, { caFile: servers.named.caFile })).toBe(unknown);
    expect(await login(servers.plain, { caFile: undefined })).toBe(unknown);
  });

  test('of another name is refused', async () => {
    const fix = 'use a name that it has in the URL, or set serverName';
    expect(await login(servers.named, {})).toBe(
      `the server's certificate is not for 127.0.0.1 but for DNS:redis.example.com: ${fix}`,
    );
    expect(await login(servers.named, { serverName: 'example.com' })).toBe(
      `the server's certificate is not for example.com but for DNS:redis.example.com: ${fix}`,
    );
  });

  test('with an expired certificate is refused', async () => {
    expect(await login(servers.expired, {})).toMatch(
      /^the server's certificate, or one above it, has expired: /,
    );
  });

  test('with an older TLS than allowed is refused', async () => {
    const serverName = 'redis.example.com';
    expect(await login(servers.named, { serverName, minVersion: 'TLSv1.3' })).toMatch(
      /no version or cipher of TLS in common/,
    );
  });

  test('that asks for a certificate gets one', async () => {
    const { authority } = servers.strict;
    const own = await authority.issueClient('sallyport');
    const files = { certFile: own.certificateFile, keyFile: own.keyFile };
    expect(await login(servers.strict, files)).toBe(content);
    const refused =
      /^the server refused the client certificate, or requires one: check certFile and keyFile/;
    expect(await login(servers.strict, {})).toMatch(refused);
    await using foreign = await createAuthority();
    const other = await foreign.issueClient('sallyport');
    const others = { certFile: other.certificateFile, keyFile: other.keyFile };
    expect(await login(servers.strict, others)).toMatch(refused);
  });

  test('is not mistaken for one without TLS, nor the other way round, and both are named as the likely cause', async () => {
    const { plain } = servers;
    const key = await storeKey(plain);
    const noise = listenForNoise();
    const problem = async ({ read }: Opened, expected: RegExp) =>
      await waitFor(
        async () => expected.test((await errorOf(read(key))).message),
        String(expected),
      );
    await using clear = await open({
      url: `rediss://127.0.0.1:${plain.port}`,
      caFile: plain.caFile,
      commandTimeout: '200ms',
    });
    // Redis answers only if the random bytes of the handshake happen to contain an end of line.
    const why =
      'no answer in time to the TLS handshake|the server answers, but not in TLS|the server closed .*';
    await problem(
      clear,
      RegExp(
        `: not connected: (${why}): is this its tls-port, or should the URL begin with redis://\\?$`,
      ),
    );
    await using secure = await open({ url: `redis://127.0.0.1:${plain.tlsPort}` });
    await problem(
      secure,
      /: not connected: .* is this its tls-port\? Then the URL must begin with rediss:\/\/$/,
    );
    expect(noise).toEqual([]);
  });

  test('with files that cannot be read makes no connection', async () => {
    const { message } = await errorOf(
      open({ url: servers.plain.tlsUrl, caFile: 'missing/ca.crt' }),
    );
    expect(message).toContain('missing/ca.crt');
  });
});
