import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { expect, test } from 'vitest';
import { createAuthority, type KeyPair } from './certificates.ts';

/** The error of a client that trusts `ca` and connects to a server on loopback; undefined: none. */
async function errorCodeOf(pair: KeyPair, ca: string, host: string): Promise<string | undefined> {
  const server = createServer({ cert: pair.certificate, key: pair.key }).listen(0, '127.0.0.1');
  server.on('tlsClientError', () => {});
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ host: '127.0.0.1', port, ca, servername: host });
  try {
    await once(socket, 'secureConnect');
    return;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  } finally {
    socket.destroy();
    server.close();
  }
}

test('a server is trusted for its names only, by clients of its authority only, and not after it expired', async () => {
  await using authority = await createAuthority();
  await using foreign = await createAuthority();
  const good = await authority.issueServer();
  const other = await authority.issueServer({ names: ['DNS:ldap.example.com'] });
  const expired = await authority.issueServer({ expired: true });
  expect(await errorCodeOf(good, authority.certificate, 'localhost')).toBeUndefined();
  expect(await errorCodeOf(good, foreign.certificate, 'localhost')).toBe(
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  );
  expect(await errorCodeOf(other, authority.certificate, 'ldap.example.com')).toBeUndefined();
  expect(await errorCodeOf(other, authority.certificate, 'localhost')).toBe(
    'ERR_TLS_CERT_ALTNAME_INVALID',
  );
  expect(await errorCodeOf(expired, authority.certificate, 'localhost')).toBe('CERT_HAS_EXPIRED');
  const daysLeft = ({ certificate }: KeyPair) =>
    Math.round((new X509Certificate(certificate).validToDate.getTime() - Date.now()) / 86_400_000);
  expect([daysLeft(good), daysLeft(await authority.issueServer({ days: 90 }))]).toEqual([1, 90]);
});
