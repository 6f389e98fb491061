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

test.each<[readonly Names[], readonly Names[], boolean]>([
  [['leaf'], ['root'], true],
  [['leaf'], ['foreign'], false],
  [['leaf'], ['foreign', 'root'], true],
  [['leaf', 'root'], ['root'], true],
  [['leaf', 'root'], ['foreign'], false],
  [['leaf'], ['leaf'], false],
  [['low', 'middle'], ['root'], true],
  [['low'], ['root'], false],
  [['low'], ['root', 'middle'], true],
  [['low', 'middle'], ['middle'], false],
  [['own'], ['own'], true],
  [['own'], ['root'], false],
])('a chain of %j is accepted with the CAs %j: %j', async (sent, trusted, isTrusted) => {
  const pem = (names: readonly Names[]) => Buffer.concat(names.map((name) => pairs[name].cert));
  const read = (names: readonly Names[]) =>
    names.map((name) => new X509Certificate(pairs[name].cert));
  expect(isTrustedChain(read(sent), read(trusted))).toBe(isTrusted);
  const [first = 'leaf'] = sent;
  expect(await isAccepted(pem(sent), pairs[first].key, pem(trusted))).toBe(isTrusted);
});

test('a client has to trust a CA, or a server that no CA signed', () => {
  const names: readonly Names[] = ['root', 'middle', 'own', 'leaf', 'low'];
  const anchors = names.filter((name) => isAnchor(new X509Certificate(pairs[name].cert)));
  expect(anchors).toEqual(['root', 'middle', 'own']);
});
