import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestAuthority, type TestAuthority } from '../testing/certificates.ts';
import { hasName } from './client-certificate.ts';

let authority: TestAuthority;
beforeAll(async () => {
  authority = await createTestAuthority();
});
afterAll(() => authority.remove());

async function certificate(
  commonName: string,
  ...alternativeNames: string[]
): Promise<X509Certificate> {
  return new X509Certificate((await authority.issue({ commonName, alternativeNames })).cert);
}

describe('hasName', () => {
  test('each kind of name counts, exactly', async () => {
    const all = await certificate(
      'kube-apiserver',
      'DNS.1 = api.example.com',
      'DNS.2 = *.example.org',
      'URI.1 = spiffe://cluster/api',
      'email.1 = api@example.com',
      'IP.1 = 10.0.0.1',
      'IP.2 = fd00::1',
    );
    for (const name of [
      'kube-apiserver',
      'api.example.com',
      'spiffe://cluster/api',
      'api@example.com',
      '10.0.0.1',
      'fd00::1',
      'fd00:0::0:1',
    ]) {
      expect(hasName(all, ['no-one', name]), name).toBe(true);
    }
    for (const name of [
      'kube',
      'kube-apiserver ',
      'KUBE-APISERVER',
      'a.example.org',
      'example.com',
      '10.0.0.2',
      'DNS:api.example.com',
      '',
    ]) {
      expect(hasName(all, [name]), name).toBe(false);
    }
  });

  test.each([
    { name: 'in a DNS name', alternativeName: 'DNS.1 = "evil, DNS:kube-apiserver"' },
    { name: 'in a URI', alternativeName: 'URI.1 = "http://evil/, DNS:kube-apiserver, URI:x"' },
    {
      name: 'with a quote before it',
      alternativeName: 'DNS.1 = "evil\\", DNS:kube-apiserver, DNS:\\"x"',
    },
    { name: 'in a mailbox', alternativeName: 'email.1 = "evil@example.com, DNS:kube-apiserver"' },
  ])('a comma $name makes no second name', async ({ alternativeName }) => {
    expect(hasName(await certificate('evil', alternativeName), ['kube-apiserver'])).toBe(false);
  });

  test('a name with a comma is one name, and the names next to it are found', async () => {
    const odd = await certificate('x', 'DNS.1 = "a, DNS:b"', 'DNS.2 = c');
    expect([['a, DNS:b'], ['c'], ['a'], ['b']].map((names) => hasName(odd, names))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test('names of other kinds do not count', async () => {
    const other = await certificate(
      'evil',
      'RID.1 = 1.2.3.4',
      'otherName.1 = 1.2.3.4;UTF8:kube-apiserver',
      'dirName.1 = dn',
    );
    expect(hasName(other, ['kube-apiserver', '1.2.3.4'])).toBe(false);
  });

  test('a common name with a line break or a comma in it is one name', async () => {
    expect(hasName(await certificate('evil, CN=kube-apiserver'), ['kube-apiserver'])).toBe(false);
    expect(hasName(await certificate('"evil\\nCN=kube-apiserver"'), ['kube-apiserver'])).toBe(
      false,
    );
  });

  test.each([
    { where: 'an organization', commonName: 'evil\nO = "x, CN=kube-apiserver"' },
    { where: 'an organization with a slash', commonName: 'evil\nO = x/CN=kube-apiserver' },
    { where: 'an organization with a plus', commonName: 'evil\nO = "x + CN=kube-apiserver"' },
    { where: 'an organization with a line break', commonName: 'evil\nO = "x\\nCN=kube-apiserver"' },
  ])('a common name as text in $where does not count', async ({ commonName }) => {
    expect(hasName(await certificate(commonName), ['kube-apiserver'])).toBe(false);
  });

  test('a common name next to another attribute in one RDN counts, whatever string type it has', async () => {
    expect(hasName(await certificate('kube-apiserver\n+O = x'), ['kube-apiserver'])).toBe(true);
    const unicode = await certificate('kübe');
    expect([hasName(unicode, ['kübe']), hasName(unicode, ['kube'])]).toEqual([true, false]);
  });

  test('of two common names in one RDN none counts', async () => {
    const names = ['kube-apiserver', 'evil'];
    expect(hasName(await certificate('evil\n+CN = kube-apiserver'), names)).toBe(false);
  });

  test('of two common names none counts', async () => {
    expect(
      hasName(await certificate('kube-apiserver\n1.CN = evil'), ['kube-apiserver', 'evil']),
    ).toBe(false);
  });
});
