import { expect, test } from 'vitest';
import { complaints, settled, writtenOptions } from './testing/written-options.ts';

test('TLS is at least 1.2, with the authorities of Node, unless options say more', () => {
  expect(settled(writtenOptions()).tls).toEqual({ minVersion: 'TLSv1.2' });
  const tls = {
    caFile: 'tls/ca.crt',
    certFile: 'tls/client.crt',
    keyFile: 'tls/client.key',
    serverName: 'ldap.example.com',
    minVersion: 'TLSv1.3',
  };
  expect(settled(writtenOptions(tls)).tls).toEqual(tls);
  expect(
    settled(writtenOptions({ urls: ['ldap://a', 'ldaps://b'], insecure: true, ...tls })).tls,
  ).toEqual(tls);
});

test.each<{ keys: Record<string, unknown>; complaint: string }>([
  {
    keys: { certFile: 'a' },
    complaint: 'keyFile: must name the key of certFile: write keyFile: tls/ldap-client.key',
  },
  {
    keys: { keyFile: 'a' },
    complaint:
      'certFile: must name the certificate of keyFile: write certFile: tls/ldap-client.crt',
  },
  {
    keys: { serverName: '192.0.2.1' },
    complaint: 'serverName: "192.0.2.1" is not a host name: write ldap.example.com',
  },
  {
    keys: { serverName: 'ldap.example.com:636' },
    complaint: 'serverName: "ldap.example.com:636" is not a host name: write ldap.example.com',
  },
  { keys: { minVersion: 'TLSv1.1' }, complaint: 'minVersion: must be TLSv1.2 or TLSv1.3' },
])('$keys is refused', ({ keys, complaint }) => {
  expect(complaints(writtenOptions(keys))).toEqual([complaint]);
});

test.each(['caFile', 'certFile', 'keyFile', 'serverName', 'minVersion'])(
  '%s without any TLS is refused',
  (key) => {
    const setting = key === 'minVersion' ? 'TLSv1.2' : 'a';
    const fix =
      'does nothing: no server is reached with TLS: remove it, or use ldaps:// or startTLS: true';
    expect(
      complaints(writtenOptions({ urls: ['ldap://a'], insecure: true, [key]: setting })),
    ).toContain(`${key}: ${fix}`);
    const srv = { name: '_ldap._tcp.example.com' };
    expect(
      complaints(writtenOptions({ urls: undefined, srv, insecure: true, [key]: setting })),
    ).toContain(`${key}: ${fix}`);
  },
);

test.each(['caFile', 'certFile', 'keyFile'])(
  '%s with the content of a file is refused without a word of it',
  (key) => {
    const found = complaints(writtenOptions({ [key]: '-----BEGIN PRIVATE KEY-----\nMIIabc\n' }));
    expect(found).toEqual([
      expect.stringMatching(
        new RegExp(`^${key}: must be a path, not the content of a file: write tls/ldap-`),
      ),
    ]);
  },
);
