import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import {
  type Authority,
  createAuthority,
  issueClient,
  issueServer,
  readAuthority,
} from './certificates.ts';

const day = 86_400_000;
const now = Date.parse('2030-01-31T12:00:00.750Z');

let authority: Authority;
beforeAll(async () => {
  authority = await createAuthority(now);
});

const read = (at: number) => readAuthority(authority.certificate, authority.key, at);

test('a leaf is valid for a year, and begins five minutes ago', async () => {
  const client = await issueClient(authority, 'kube-apiserver', now);
  const certificate = new X509Certificate(client.certificate);
  expect(certificate.validFromDate).toEqual(new Date('2030-01-31T11:55:00Z'));
  expect(certificate.validToDate).toEqual(new Date('2031-01-31T12:00:00Z'));
  expect(client.notAfter).toEqual(certificate.validToDate);
});

test('no leaf outlives its CA', async () => {
  const late = now + 3600 * day;
  const server = await issueServer(await read(late), ['gw'], late);
  expect(server.notAfter).toEqual(authority.notAfter);
});

test('a time beyond 2049 has four digits of its year', async () => {
  const late = await createAuthority(Date.parse('2045-01-01T00:00:00Z'));
  expect(new X509Certificate(late.certificate).validToDate.getUTCFullYear()).toBe(2054);
});

test('a CA that was read again issues what the same CA verifies', async () => {
  const server = new X509Certificate(
    (await issueServer(await read(now), ['gw', '::1'], now)).certificate,
  );
  const issuer = new X509Certificate(authority.certificate);
  expect([server.checkIssued(issuer), server.verify(issuer.publicKey)]).toEqual([true, true]);
  expect([server.checkHost('gw'), server.checkIP('::1')]).toEqual(['gw', '::1']);
});

test('serial numbers differ, and have 16 bytes', async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => issueClient(authority, 'x', now)));
  const numbers = all.map(({ certificate }) => new X509Certificate(certificate).serialNumber);
  expect(new Set(numbers).size).toBe(20);
  expect(numbers.filter((each) => !/^[4-7][0-9A-F]{31}$/.test(each))).toEqual([]);
});

test('a CA that cannot issue is refused', async () => {
  const other = await createAuthority(now);
  const leaf = await issueClient(authority, 'x', now);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rsa = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const { certificate, key } = authority;
  await expect(readAuthority(certificate, other.key, now)).rejects.toThrow(/does not belong/);
  await expect(readAuthority(certificate, rsa, now)).rejects.toThrow(/does not belong/);
  await expect(readAuthority(leaf.certificate, leaf.key, now)).rejects.toThrow(
    /not made by sallyport init/,
  );
  await expect(readAuthority(certificate, 'no key', now)).rejects.toThrow();
  await expect(read(authority.notAfter.getTime())).rejects.toThrow(/the CA expires at 2040-01-29/);
  expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----/);
});
