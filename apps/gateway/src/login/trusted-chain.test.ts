import { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { isAnchor } from '@sallyport/plugin-kit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestAuthority, type Pair, type TestAuthority } from '../testing/certificates.ts';
import { isTrustedChain } from './trusted-chain.ts';

type Names = 'root' | 'foreign' | 'middle' | 'leaf' | 'low' | 'own';

const localhost = ['DNS.1 = localhost'];
let authorities: readonly TestAuthority[] = [];
let pairs: Readonly<Record<Names, Pair>>;
beforeAll(async () => {
  const root = await createTestAuthority();
  // It has the same name, and another key.
  const foreign = await createTestAuthority();
  authorities = [root, foreign];
  const middle = await root.issue({ commonName: 'middle', isAuthority: true });
  const leaf = await root.issue({ commonName: 'leaf', alternativeNames: localhost });
  const low = await root.issue({ commonName: 'low', alternativeNames: localhost }, middle);
  const own = await root.selfSigned({ commonName: 'own', alternativeNames: localhost });
  pairs = { root, foreign, middle, leaf, low, own };
});
afterAll(() => Promise.all(authorities.map((one) => one.remove())));

/** Whether Node's client accepts the chain, as `kubectl sallyport` does. */
async function isAccepted(cert: Buffer, key: Buffer, ca: Buffer): Promise<boolean> {
  const server = createServer({ cert, key }, (socket) => socket.end()).on(
    'tlsClientError',
    () => undefined,
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    return await new Promise((resolve) => {
      const socket = connect(
        { port, host: '127.0.0.1', servername: 'localhost', ca, rejectUnauthorized: false },
        () => {
          resolve(socket.authorized);
          socket.destroy();
        },
      );
    });
  } finally {
    server.close();
  }
}

test.each<{ sent: readonly Names[]; trusted: readonly Names[]; isTrusted: boolean }>([
  { sent: ['leaf'], trusted: ['root'], isTrusted: true },
  { sent: ['leaf'], trusted: ['foreign'], isTrusted: false },
  { sent: ['leaf'], trusted: ['foreign', 'root'], isTrusted: true },
  { sent: ['leaf', 'root'], trusted: ['root'], isTrusted: true },
  { sent: ['leaf', 'root'], trusted: ['foreign'], isTrusted: false },
  { sent: ['leaf'], trusted: ['leaf'], isTrusted: false },
  { sent: ['low', 'middle'], trusted: ['root'], isTrusted: true },
  { sent: ['low'], trusted: ['root'], isTrusted: false },
  { sent: ['low'], trusted: ['root', 'middle'], isTrusted: true },
  { sent: ['low', 'middle'], trusted: ['middle'], isTrusted: false },
  { sent: ['own'], trusted: ['own'], isTrusted: true },
  { sent: ['own'], trusted: ['root'], isTrusted: false },
])(
  'a chain of $sent is accepted with the CAs $trusted: $isTrusted',
  async ({ sent, trusted, isTrusted }) => {
    const pem = (names: readonly Names[]) => Buffer.concat(names.map((name) => pairs[name].cert));
    const read = (names: readonly Names[]) =>
      names.map((name) => new X509Certificate(pairs[name].cert));
    expect(isTrustedChain(read(sent), read(trusted))).toBe(isTrusted);
    const [first = 'leaf'] = sent;
    expect(await isAccepted(pem(sent), pairs[first].key, pem(trusted))).toBe(isTrusted);
  },
);

test('a client has to trust a CA, or a server that no CA signed', () => {
  const names: readonly Names[] = ['root', 'middle', 'own', 'leaf', 'low'];
  const anchors = names.filter((name) => isAnchor(new X509Certificate(pairs[name].cert)));
  expect(anchors).toEqual(['root', 'middle', 'own']);
});
