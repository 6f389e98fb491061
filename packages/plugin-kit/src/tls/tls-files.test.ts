import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { recordingContext } from '@sallyport/authenticator/conformance';
import { createAuthority } from '@sallyport/test-servers/certificates';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { TlsOptions } from './tls.ts';
import { watchTlsFiles } from './tls-files.ts';

async function folder(files: Record<string, string>) {
  const { path: baseDirectory, [Symbol.asyncDispose]: dispose } = await temporaryFolder('tls');
  onTestFinished(() => dispose());
  const write = (file: string, text: string | Buffer) =>
    writeFile(path.join(baseDirectory, file), text);
  for (const [file, text] of Object.entries(files)) await write(file, text);
  const recording = recordingContext({ pluginName: 'tickets', baseDirectory });
  const changes: number[] = [];
  const watch = (options: Partial<TlsOptions>) =>
    watchTlsFiles({ minVersion: 'TLSv1.2', ...options }, recording.context, () => changes.push(1));
  return { ...recording, write, watch, changes };
}

async function authority() {
  const made = await createAuthority();
  onTestFinished(() => made[Symbol.asyncDispose]());
  return made;
}

const pair = { certFile: 'client.crt', keyFile: 'client.key' };

describe('TLS files', () => {
  test('return what a handshake needs, and no more than is configured', async () => {
    const ca = await authority();
    const { certificate, key } = await ca.issueClient('sallyport');
    const files = { 'ca.crt': ca.certificate, 'client.crt': certificate, 'client.key': key };
    const { watch, watchedFiles } = await folder(files);
    expect((await watch({}))()).toEqual({ minVersion: 'TLSv1.2' });
    expect(watchedFiles).toEqual([]);
    const all = await watch({
      ...pair,
      caFile: 'ca.crt',
      serverName: 'tickets.example.com',
      minVersion: 'TLSv1.3',
    });
    expect(all()).toEqual({
      ca: Buffer.from(ca.certificate),
      certificate: Buffer.from(certificate),
      key: Buffer.from(key),
      serverName: 'tickets.example.com',
      minVersion: 'TLSv1.3',
    });
    expect(watchedFiles).toHaveLength(3);
  });

  test('a changed CA is used for the next handshake, a damaged one is refused and the old one stays', async () => {
    const [old, next] = [await authority(), await authority()];
    const { watch, write, touch, lines, changes } = await folder({ 'ca.crt': old.certificate });
    const settings = await watch({ caFile: 'ca.crt' });
    changes.length = 0;
    await write('ca.crt', old.certificate + next.certificate);
    expect(await touch()).toEqual([]);
    expect(settings().ca?.toString()).toBe(old.certificate + next.certificate);
    await write('ca.crt', next.certificate);
    expect(await touch()).toEqual([]);
    expect(settings().ca?.toString()).toBe(next.certificate);
    expect(changes).toHaveLength(2);
    const leaf = (await next.issueClient('a server')).certificate;
    for (const [text, problem] of [
      [
        leaf,
        'caFile: ca.crt has no CA, but the certificate of CN=a server, which makes no server trusted: write ',
      ],
      ['', 'caFile: ca.crt has no PEM certificate'],
      [
        'garbage',
        'caFile: ca.crt has no PEM certificate ("-----BEGIN CERTIFICATE-----"): check the path, or copy the file again',
      ],
      [
        next.certificate.slice(0, 100),
        'caFile: ca.crt is cut off: its certificate has no "-----END CERTIFICATE-----": copy it again',
      ],
      ['-----BEGIN CERTIFICATE REQUEST-----', ', but a certificate request: let a CA sign it'],
      [btoa('-----BEGIN CERTIFICATE-----'), ', but base64 of PEM: decode it with base64 -d'],
      [Buffer.from('3082000a020103', 'hex'), ', but is PKCS#12: convert it with openssl pkcs12'],
      [
        new X509Certificate(next.certificate).raw,
        'caFile: ca.crt is in DER, not in PEM: convert it with openssl x509 -inform der -in FILE -out NEWFILE',
      ],
      [
        next.certificate + next.certificate.replace(/MI/, 'IM'),
        'caFile: ca.crt is damaged in certificate 2',
      ],
    ] as const) {
      await write('ca.crt', text);
      expect(await touch()).toEqual([
        expect.objectContaining({ message: expect.stringContaining(problem) }),
      ]);
      expect(settings().ca?.toString()).toBe(next.certificate);
    }
    expect(lines.filter(({ level }) => level === 'info')).toHaveLength(3);
  });

  test('over 4 MiB are refused, however many certificates they have', async () => {
    const ca = await authority();
    const { watch, write, touch } = await folder({ 'ca.crt': ca.certificate });
    const settings = await watch({ caFile: 'ca.crt' });
    await write('ca.crt', ca.certificate + '\n'.repeat(4 * 1024 * 1024));
    expect(await touch()).toEqual([
      expect.objectContaining({ message: expect.stringContaining('is bigger than') }),
    ]);
    expect(settings().ca?.toString()).toBe(ca.certificate);
  });

  test('a certificate and a key take effect together, whichever changes first', async () => {
    const ca = await authority();
    const [old, second, third] = [
      await ca.issueClient('a'),
      await ca.issueClient('b'),
      await ca.issueClient('c'),
    ];
    const { watch, write, touch } = await folder({
      'client.crt': old.certificate,
      'client.key': old.key,
    });
    const settings = await watch(pair);
    const inForce = () => [settings().certificate?.toString(), settings().key?.toString()];
    // Each touch loads both files: the changed file does not match, and then neither does the other file.
    await write('client.crt', second.certificate);
    expect(await touch()).not.toEqual([]);
    expect(inForce()).toEqual([old.certificate, old.key]);
    await write('client.key', second.key);
    await touch();
    expect(inForce()).toEqual([second.certificate, second.key]);
    await write('client.key', third.key);
    expect(await touch()).not.toEqual([]);
    expect(inForce()).toEqual([second.certificate, second.key]);
    await write('client.crt', third.certificate);
    expect(await touch()).toEqual([]);
    expect(inForce()).toEqual([third.certificate, third.key]);
  });

  test('that cannot be used at the start are reported with the option, the file and the fix, and no part of a key', async () => {
    const ca = await authority();
    const [one, other] = [await ca.issueClient('a'), await ca.issueClient('b')];
    const locked =
      '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n';
    const texts = { locked, garbage: 'garbage' };
    const files = {
      'client.crt': one.certificate,
      'client.key': one.key,
      'other.key': other.key,
      'cut.key': one.key.slice(0, 80),
      ...texts,
    };
    const { watch } = await folder(files);
    const failure = async (options: Partial<TlsOptions>) =>
      await watch(options).then(
        () => 'nothing',
        (error: unknown) => String(error),
      );
    const mixed = await failure({ certFile: 'client.crt', keyFile: 'other.key' });
    expect(mixed).toContain(
      'keyFile: other.key does not match yet: certFile and keyFile are not a pair',
    );
    for (const line of other.key.split('\n').slice(1, 3)) expect(mixed).not.toContain(line);
    expect(await failure({ ...pair, keyFile: 'locked' })).toContain(
      'keyFile: locked has a key with a passphrase: store it without one, readable by this user only: openssl pkey',
    );
    expect(await failure({ ...pair, keyFile: 'garbage' })).toContain(
      'keyFile: garbage has no PEM private key',
    );
    expect(await failure({ ...pair, keyFile: 'cut.key' })).toContain(
      'keyFile: cut.key has a private key that is damaged: copy it again',
    );
    expect(await failure({ ...pair, keyFile: 'client.crt' })).toContain(
      'keyFile: client.crt has no PEM private key ("-----BEGIN PRIVATE KEY-----"), but a certificate: name',
    );
    expect(await failure({ ...pair, certFile: 'client.key' })).toContain(
      'certFile: client.key has no PEM certificate ("-----BEGIN CERTIFICATE-----"), but a private key: name',
    );
    expect(await failure({ caFile: 'missing' })).toContain('ENOENT');
  });
});
