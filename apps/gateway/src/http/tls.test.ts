import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TlsConfig } from '../config/types.ts';
import { createTestAuthority, type Pair, type TestAuthority } from '../testing/certificates.ts';
import { readTlsMaterial } from './tls.ts';

const names = { alternativeNames: ['DNS.1 = gateway.example.com', 'IP.1 = 192.0.2.1'] };
const day = 24 * 60 * 60 * 1000;
let authority: TestAuthority;
let pair: Pair;
let other: Pair;
beforeAll(async () => {
  authority = await createTestAuthority('front CA');
  [pair, other] = await Promise.all([
    authority.issue({ commonName: 'gateway', ...names }),
    authority.issue({ commonName: 'other', ...names }),
  ]);
});
afterAll(() => authority.remove());

async function file(...contents: (string | Buffer)[]): Promise<string> {
  const path = join(authority.directory, randomUUID());
  await writeFile(path, contents.map(String).join('\n'));
  return path;
}
const config = (overrides: Partial<TlsConfig> = {}): TlsConfig => ({
  certFile: pair.certFile,
  keyFile: pair.keyFile,
  minVersion: 'TLSv1.2',
  client: { caFile: authority.certFile, names: ['kube-apiserver'] },
  ...overrides,
});

describe('readTlsMaterial', () => {
  test('reads all files, and knows when each certificate ends', async () => {
    const material = await readTlsMaterial(config());
    expect(material.client?.names).toEqual(['kube-apiserver']);
    expect(material.certificates).toEqual([
      expect.objectContaining({
        certificate: 'server',
        file: pair.certFile,
        subject: 'CN=gateway',
      }),
      expect.objectContaining({
        certificate: 'client-ca',
        file: authority.certFile,
        subject: 'CN=front CA',
      }),
    ]);
    expect(material.certificates[0]?.notAfter.getTime()).toBeGreaterThan(Date.now() + 29 * day);
    expect(material.warnings).toEqual([]);
  });

  test('without client certificates there is no CA', async () => {
    const { certFile, keyFile } = pair;
    const material = await readTlsMaterial({ certFile, keyFile, minVersion: 'TLSv1.3' });
    expect(material.client).toBeUndefined();
    expect(material.certificates).toHaveLength(1);
  });

  test('accepts a chain in order, and warns of one that is not', async () => {
    const good = await readTlsMaterial(config({ certFile: await file(pair.cert, authority.cert) }));
    expect(good.warnings).toEqual([]);
    const bad = await readTlsMaterial(config({ certFile: await file(pair.cert, other.cert) }));
    expect(bad.warnings).toEqual([expect.stringMatching(/out of order: "CN=other"/)]);
  });

  test.each<{ name: string; overrides: () => Promise<Partial<TlsConfig>>; message: RegExp }>([
    {
      name: 'a missing file',
      overrides: async () => ({ certFile: '/nowhere/a.crt' }),
      message: /certFile: \/nowhere\/a\.crt can't be read: there is no such file/,
    },
    {
      name: 'no certificate',
      overrides: async () => ({ certFile: await file('hello') }),
      message: /certFile: .* has no PEM certificate/,
    },
    {
      name: 'a damaged one',
      overrides: async () => ({ certFile: await file(pair.cert.toString().replace('MII', 'AAA')) }),
      message: /certFile: .* is damaged in certificate 1/,
    },
    {
      name: 'no key',
      overrides: async () => ({ keyFile: await file(pair.cert) }),
      message: /keyFile: .* has no PEM private key/,
    },
    {
      name: 'another key',
      overrides: async () => ({ keyFile: other.keyFile }),
      message:
        /the key in .* does not belong to the certificate .*: name the key of this certificate in server\.tls\.keyFile/,
    },
    {
      name: 'the chain first',
      overrides: async () => ({ certFile: await file(other.cert, pair.cert) }),
      message: /: put the server's own certificate first in /,
    },
    {
      name: 'no CA',
      overrides: async () => ({ client: { caFile: await file(''), names: ['a'] } }),
      message: /clientCAFile: .* has no PEM certificate/,
    },
    {
      name: 'a damaged CA behind a good one',
      overrides: async () => ({
        client: {
          caFile: await file(authority.cert, authority.cert.toString().replace('MII', 'AAA')),
          names: ['a'],
        },
      }),
      message: /clientCAFile: .* is damaged in certificate 2/,
    },
    {
      name: 'a key with a passphrase',
      overrides: async () => ({
        keyFile: await file(
          '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----',
        ),
      }),
      message: /keyFile: .* has a key with a passphrase/,
    },
  ])('refuses $name', async ({ overrides, message }) => {
    await expect(readTlsMaterial(config(await overrides()))).rejects.toThrow(message);
  });

  test('reports every file that cannot be read', async () => {
    const missing = {
      certFile: '/nowhere/a.crt',
      keyFile: '/nowhere/a.key',
      client: { caFile: '/nowhere/ca', names: [] },
    };
    const error: AggregateError = await readTlsMaterial(config(missing)).catch((thrown) => thrown);
    const messages = [
      'certFile: /nowhere/a.crt',
      'keyFile: /nowhere/a.key',
      'clientCAFile: /nowhere/ca',
    ].map(
      (file) =>
        `server.tls.${file} can't be read: there is no such file: create it, or fix the path ` +
        '(relative paths start at the folder of the config file)',
    );
    expect(error.errors.map(String)).toEqual(messages.map((one) => `Error: ${one}`));
    expect(error.message).toBe(messages.join('; '));
  });

  test('refuses a key that is too small, and says which is big enough', async () => {
    const { certFile, keyFile } = await authority.issue({
      commonName: 'gateway',
      ...names,
      rsaBits: 1024,
    });
    await expect(readTlsMaterial(config({ certFile, keyFile }))).rejects.toThrow(
      /key too small: issue a certificate for an RSA key of 2048 bits or more, or for an EC key$/,
    );
  });

  test('refuses a server certificate without an alternative name of a host', async () => {
    const [none, mail] = await Promise.all([
      authority.issue({ commonName: 'gateway.example.com' }),
      authority.issue({
        commonName: 'gateway.example.com',
        alternativeNames: ['email.1 = a@example.com'],
      }),
    ]);
    for (const { certFile, keyFile } of [none, mail]) {
      await expect(readTlsMaterial(config({ certFile, keyFile }))).rejects.toThrow(
        /^server\.tls\.certFile: the certificate "CN=gateway\.example\.com" in .* has no subject alternative name of a host/,
      );
    }
  });

  test.each(['clientAuth', 'clientAuth, emailProtection'])(
    'refuses one that is for %s alone',
    async (usage) => {
      const { certFile, keyFile } = await authority.issue({
        commonName: 'kubelet',
        ...names,
        usage,
      });
      await expect(readTlsMaterial(config({ certFile, keyFile }))).rejects.toThrow(
        /^server\.tls\.certFile: the certificate "CN=kubelet" in .* is not for servers \(its extended key usage lacks serverAuth\)/,
      );
    },
  );

  test.each(['serverAuth', 'clientAuth, serverAuth', 'anyExtendedKeyUsage'])(
    'accepts one for %s',
    async (usage) => {
      const { certFile, keyFile } = await authority.issue({
        commonName: 'gateway',
        ...names,
        usage,
      });
      expect((await readTlsMaterial(config({ certFile, keyFile }))).warnings).toEqual([]);
    },
  );

  test('refuses a client CA under which no client is accepted, and warns of one that is not a CA', async () => {
    const from = async (...certificates: Buffer[]) =>
      readTlsMaterial(config({ client: { caFile: await file(...certificates), names: ['a'] } }));
    const intermediate = await authority.issue({ commonName: 'middle', isAuthority: true });
    await expect(from(other.cert)).rejects.toThrow(
      /clientCAFile: "CN=other" in .* is not a CA certificate, so no client/,
    );
    await expect(from(intermediate.cert)).rejects.toThrow(
      /"CN=middle" in .* is an intermediate CA, so no client .* root/,
    );
    await expect(from(other.cert, intermediate.cert)).rejects.toThrow(
      /"CN=middle" in .* is an intermediate CA/,
    );
    expect((await from(intermediate.cert, authority.cert, other.cert)).warnings).toEqual([]);
    const own = await authority.selfSigned({ commonName: 'client' });
    expect((await from(own.cert)).warnings).toEqual([
      expect.stringMatching(/clientCAFile: "CN=client" in .* is not marked as a CA certificate/),
    ]);
    expect((await from(own.cert, authority.cert)).warnings).toEqual([]);
  });

  test('no error has the key in it', async () => {
    const keyFile = await file(pair.key.toString().replace('-----END', 'A-----END'));
    const error = await readTlsMaterial(config({ keyFile })).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    const secret = pair.key.toString().split('\n')[1] ?? '';
    expect(
      `${(error as Error).stack}${JSON.stringify(error)}${String((error as Error).cause)}`,
    ).not.toContain(secret.slice(0, 20));
  });

  test('an expired server certificate is refused, even if a CA is current', async () => {
    await expect(readTlsMaterial(config(), 'server', Date.now() + 31 * day)).rejects.toThrow(
      /certFile: "CN=gateway" in .* expired at 20/,
    );
  });

  test('warns of a certificate that ends soon, and of one that is not yet valid', async () => {
    const soon = await readTlsMaterial(config(), 'server', Date.now() + 20 * day);
    expect(soon.warnings).toEqual([
      expect.stringMatching(/^the server certificate "CN=gateway" .* expires at .*: renew it$/),
      expect.stringMatching(/^the client-ca certificate "CN=front CA" .* expires at/),
    ]);
    const early = await readTlsMaterial(config(), 'server', Date.now() - day);
    expect(early.warnings[0]).toMatch(/is not valid before .*: check the clock/);
  });
});
