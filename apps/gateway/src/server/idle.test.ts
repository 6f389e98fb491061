import { once } from 'node:events';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { connectionLimits } from './limits.ts';
import { type Authority, createAuthority } from './testing/certificates.ts';
import { rawPost, review } from './testing/clients.ts';
import { startTestServer } from './testing/server.ts';
import { readTlsMaterial, type TlsMaterial } from './tls.ts';

let authority: Authority;
let tls: TlsMaterial;
beforeAll(async () => {
  authority = await createAuthority();
  const pair = await authority.issue({ commonName: 'gateway', alternativeNames: ['IP.1 = 127.0.0.1'] });
  tls = await readTlsMaterial({ ...pair, minVersion: 'TLSv1.2' });
});
afterAll(() => authority.remove());

/** A review on this connection, whose answer comes in one piece. */
async function ask(socket: Socket): Promise<string> {
  const answer = once(socket, 'data');
  socket.write(rawPost(review()));
  return String(await answer);
}

test.each(['plain HTTP', 'TLS'])(
  'a kept HTTP/1.1 connection idles up to the limit and no longer, over %s',
  async (name) => {
    const secure = name === 'TLS';
    const open = async (idleTimeout: number): Promise<Socket> => {
      const { port } = await startTestServer({ limits: { idleTimeout }, ...(secure && { tls }) });
      const address = { host: '127.0.0.1', port };
      const socket = secure ? connectSecure({ ...address, ca: authority.cert }) : connectPlain(address);
      onTestFinished(() => void socket.destroy());
      await once(socket, secure ? 'secureConnect' : 'connect');
      return socket;
    };
    // Node adds a second to both. The patient one idles first and longest: only its limit can have kept it open.
    const patient = await open(20_000);
    expect(await ask(patient)).toMatch(/^HTTP\/1.1 200 /);
    const hasty = await open(20);
    expect(await ask(hasty)).toMatch(/^HTTP\/1.1 200 /);
    expect(await ask(hasty)).toMatch(/^HTTP\/1.1 200 /);
    await once(hasty, 'close');
    expect(patient.readyState).toBe('open');
    expect(await ask(patient)).toMatch(/^HTTP\/1.1 200 /);
  },
);

test('a connection may idle for longer than the 90 s of Go’s client, so that the client closes first', () => {
  expect(connectionLimits.idleTimeout).toBeGreaterThan(90_000);
});
