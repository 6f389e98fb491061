import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { expect, test } from 'vitest';
import { createAuthority, type KeyPair } from './certificates.ts';

/** What a client that trusts `ca` finds wrong with a server on loopback; undefined: nothing. */
async function faultOf(pair: KeyPair, ca: string, host: string): Promise<string | undefined> {
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

test('a server is believed for its names only, by clients of its authority only, and not past its last day', async () => {
  await using authority = await createAuthority();
  await using stranger = await createAuthority();
  const good = await authority.issueServer();
  const other = await authority.issueServer({ names: ['DNS:ldap.example.com'] });
  const expired = await authority.issueServer({ expired: true });
  expect(await faultOf(good, authority.certificate, 'localhost')).toBeUndefined();
  expect(await faultOf(good, stranger.certificate, 'localhost')).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  expect(await faultOf(other, authority.certificate, 'ldap.example.com')).toBeUndefined();
  expect(await faultOf(other, authority.certificate, 'localhost')).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
  expect(await faultOf(expired, authority.certificate, 'localhost')).toBe('CERT_HAS_EXPIRED');
  const daysLeft = ({ certificate }: KeyPair) =>
    Math.round((new X509Certificate(certificate).validToDate.getTime() - Date.now()) / 86_400_000);
  expect([daysLeft(good), daysLeft(await authority.issueServer({ days: 90 }))]).toEqual([1, 90]);
});
