import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import {
  type Authority,
  createAuthority,
  type KeyPair,
  sharedAuthority,
} from '@sallyport/test-servers/certificates';
import { hasIPv6 } from '@sallyport/test-servers/ports';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { connectTo, errorOf, never } from './testing/connecting.ts';
import type { FakePeer, FakeRequest } from './testing/fake-peer.ts';
import { startFakeServer } from './testing/fake-server.ts';
import { bindResponse, extendedResponse, searchDone } from './testing/ldap-answers.ts';
import { startRawServer } from './testing/raw-server.ts';
import { stopTimers } from './testing/stopped-timers.ts';
import type { Server } from './types.ts';

const credentials = { dn: 'cn=alice,dc=x', password: 'wrong' };

/** Every bind is refused: a success must be forged on the way. */
const refuseAll = ({ id }: FakeRequest, peer: FakePeer) =>
  peer.write(bindResponse({ id, code: 49 }));

let authority: Authority;
let pair: KeyPair;
let ca: Buffer;

beforeAll(async () => {
  authority = await sharedAuthority();
  pair = await authority.sharedServer();
  ca = Buffer.from(authority.certificate);
});

const serverTls = (own: KeyPair = pair) => ({ key: own.key, cert: own.certificate });

const secure = ['ldaps', 'starttls'] as const;

describe('a connection over TCP', () => {
  test.each(['127.0.0.1', 'localhost', ...(hasIPv6 ? ['::1'] : [])])(
    'to %s is made',
    async (host) => {
      await using fake = await startFakeServer({
        host: host === 'localhost' ? '127.0.0.1' : host,
        onRequest: refuseAll,
      });
      const connection = await connectTo({ ...fake.server, host });
      expect(await connection.bind(credentials, never)).toMatchObject({ code: 49 });
      connection.close();
    },
  );

  test('to a port where nothing listens says that the connection was refused', async () => {
    const fake = await startFakeServer();
    await fake[Symbol.asyncDispose]();
    const error = await errorOf(connectTo(fake.server));
    expect(error).toMatchObject({ kind: 'unreachable', step: 'connect' });
    expect(error.message).toContain(
      `${fake.server.url}: connecting: connection refused: nothing listens on this port, so check the port and that the server runs`,
    );
    expect((await errorOf(connectTo({ ...fake.server, host: 'localhost' }))).message).toMatch(
      /refused: .*ECONNREFUSED/,
    );
  });

  test('to a name that does not exist fails at the step connect', async () => {
    const server: Server = {
      url: 'ldap://x.invalid:389',
      host: 'x.invalid',
      port: 389,
      security: 'insecure',
    };
    expect(await errorOf(connectTo(server))).toMatchObject({
      kind: 'unreachable',
      step: 'connect',
    });
  });

  test('that is never answered ends with the step, and with the signal, whose reason is thrown', async () => {
    stopTimers();
    await using full = await startFullServer();
    const attempt = errorOf(connectTo(full.server));
    vi.advanceTimersByTime(60_000);
    const error = await attempt;
    expect(error).toMatchObject({ kind: 'timeout', step: 'connect' });
    expect(error.message).toContain('no connection within 60s');
    const caller = new AbortController();
    const aborted = connectTo(full.server, { signal: caller.signal });
    const reason = new Error('the caller went away');
    setImmediate(() => caller.abort(reason));
    await expect(aborted).rejects.toBe(reason);
    await expect(connectTo(full.server, { signal: caller.signal })).rejects.toBe(reason);
  });
});

describe.each(secure)('%s', (security) => {
  test.each([
    ['localhost', 'localhost'],
    ['127.0.0.1', ''],
  ])('talks to %s, with the SNI %j', async (host, sni) => {
    const names: string[] = [];
    await using fake = await startFakeServer({
      security,
      tls: serverTls(),
      onRequest(request, peer) {
        names.push(peer.serverName);
        refuseAll(request, peer);
      },
    });
    const connection = await connectTo({ ...fake.server, host }, { tls: { ca } });
    expect(await connection.bind(credentials, never)).toMatchObject({ code: 49 });
    expect(names).toEqual([sni]);
    expect(fake.clearText.includes(credentials.password)).toBe(false);
    connection.close();
    await fake.untilClosed();
  });

  test('says which names a certificate has when the name is another', async () => {
    const tls = serverTls(
      await authority.issueServer({ names: ['DNS:ldap.example.com', 'IP:192.0.2.1'] }),
    );
    await using fake = await startFakeServer({ security, tls });
    const error = await errorOf(connectTo(fake.server, { tls: { ca } }));
    expect(error).toMatchObject({ kind: 'tls', step: 'tls' });
    expect(error.message).toContain(
      'not for 127.0.0.1 but for DNS:ldap.example.com, IP Address:192.0.2.1',
    );
    await fake.untilClosed();
  });

  test('checks an address against the certificate, not "localhost"', async () => {
    const tls = serverTls(await authority.issueServer({ names: ['DNS:localhost'] }));
    await using fake = await startFakeServer({ security, tls });
    const error = await errorOf(connectTo(fake.server, { tls: { ca } }));
    expect(error.message).toContain('not for 127.0.0.1 but for DNS:localhost');
  });

  test('checks serverName in place of the host', async () => {
    const tls = serverTls(await authority.issueServer({ names: ['DNS:ldap.example.com'] }));
    await using fake = await startFakeServer({ security, tls, onRequest: refuseAll });
    const connection = await connectTo(fake.server, {
      tls: { ca, serverName: 'ldap.example.com' },
    });
    expect(await connection.bind(credentials, never)).toMatchObject({ code: 49 });
    connection.close();
    const other = connectTo(
      { ...fake.server, host: 'localhost' },
      { tls: { ca, serverName: 'other' } },
    );
    expect(await errorOf(other)).toMatchObject({ kind: 'tls' });
  });

  test('refuses an authority that is not in caFile', async () => {
    await using fake = await startFakeServer({ security, tls: serverTls() });
    await using other = await createAuthority();
    for (const tls of [
      {},
      { ca: Buffer.from(other.certificate) },
      { ca: Buffer.from('garbage') },
    ]) {
      const error = await errorOf(connectTo(fake.server, { tls }));
      expect(error).toMatchObject({ kind: 'tls', step: 'tls' });
      expect(error.message).toContain('put the certificate of that CA into caFile');
    }
    await fake.untilClosed();
  });

  test('refuses a certificate that has expired', async () => {
    const tls = serverTls(await authority.issueServer({ expired: true }));
    await using fake = await startFakeServer({ security, tls });
    const error = await errorOf(connectTo(fake.server, { tls: { ca } }));
    expect(error).toMatchObject({ kind: 'tls' });
    expect(error.message).toContain('has expired: renew it on the server');
  });

  test('refuses an older version than the minimum', async () => {
    await using fake = await startFakeServer({
      security,
      tls: { ...serverTls(), maxVersion: 'TLSv1.2' },
    });
    const error = await errorOf(connectTo(fake.server, { tls: { ca, minVersion: 'TLSv1.3' } }));
    expect(error).toMatchObject({ kind: 'tls' });
    expect(error.message).toContain('tls.minVersion');
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'shows its client certificate, and says so when one is missing, %s',
    async (version) => {
      const tls = {
        ...serverTls(),
        ca: authority.certificate,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: version,
        maxVersion: version,
      };
      await using fake = await startFakeServer({ security, tls, onRequest: refuseAll });
      const client = await authority.issueClient('sallyport');
      const own = {
        ca,
        certificate: Buffer.from(client.certificate),
        key: Buffer.from(client.key),
      };
      const connection = await connectTo(fake.server, { tls: own });
      expect(await connection.bind(credentials, never)).toMatchObject({ code: 49 });
      connection.close();
      // In TLS 1.3 the refusal follows the handshake.
      const without = connectTo(fake.server, { tls: { ca } }).then((made) =>
        made.bind(credentials, never),
      );
      const error = await errorOf(without);
      expect(error).toMatchObject({ kind: 'tls' });
      expect(error.message).toContain('client certificate');
      await fake.untilClosed();
    },
  );

  test('goes by the settings of this handshake, not of an earlier one', async () => {
    await using fake = await startFakeServer({
      security,
      tls: { ...serverTls(), maxVersion: 'TLSv1.2' },
    });
    const own = Buffer.from(ca);
    for (const other of [
      { minVersion: 'TLSv1.3' },
      { key: Buffer.from('x') },
      { certificate: Buffer.from('x') },
      { ca: Buffer.from('x') },
    ] as const) {
      (await connectTo(fake.server, { tls: { ca: own } })).close();
      expect(await errorOf(connectTo(fake.server, { tls: { ca: own, ...other } }))).toMatchObject({
        kind: 'tls',
      });
    }
    (await connectTo(fake.server, { tls: { ca: own } })).close();
  });

  test('says so when its own files are of no use', async () => {
    await using fake = await startFakeServer({ security, tls: serverTls() });
    const { key } = await authority.issueClient('another');
    for (const tls of [
      { ca, certificate: Buffer.from('garbage'), key: Buffer.from('garbage') },
      { ca, certificate: Buffer.from(pair.certificate), key: Buffer.from(key) },
    ]) {
      const error = await errorOf(connectTo(fake.server, { tls }));
      expect(error).toMatchObject({ kind: 'tls' });
      expect(error.message).toContain("certFile or keyFile can't be used");
      expect(error.message).not.toContain('PRIVATE');
    }
    await fake.untilClosed();
  });

  test('whose handshake is never answered ends with the step, and with the signal', async () => {
    stopTimers();
    let begun = Promise.withResolvers<void>();
    await using raw = await startSilentTls(security, () => begun.resolve());
    const attempt = errorOf(connectTo(raw.server));
    await begun.promise;
    vi.advanceTimersByTime(60_000);
    expect(await attempt).toMatchObject({ kind: 'timeout', step: 'tls' });
    begun = Promise.withResolvers();
    const caller = new AbortController();
    const aborted = connectTo(raw.server, { signal: caller.signal });
    await begun.promise;
    caller.abort(new Error('gone'));
    await expect(aborted).rejects.toThrow('gone');
    await raw.untilClosed();
  });

  test.each(['end', 'resetAndDestroy'] as const)(
    'whose handshake is cut off (%s) fails',
    async (how) => {
      await using raw = await startSilentTls(security, (socket) => socket[how]());
      expect(await errorOf(connectTo(raw.server, { tls: { ca } }))).toMatchObject({
        kind: 'closed',
      });
      await raw.untilClosed();
    },
  );
});

/** Starts a server that lets the test act when the handshake begins, and does no handshake. */
function startSilentTls(security: Server['security'], onHandshake: (socket: Socket) => void) {
  return startRawServer(security, (socket) => {
    const handshake = () => socket.once('data', () => onHandshake(socket));
    if (security === 'ldaps') return handshake();
    return socket.once('data', () => {
      socket.write(extendedResponse({ id: 1 }));
      handshake();
    });
  });
}

/** Opens a port that listens, but whose queue is full, so that the handshake of TCP is never answered. */
async function startFullServer() {
  // The process is stopped in the turn in which it listens, so it never accepts.
  const script =
    "const s = require('net').createServer().listen(0, '127.0.0.1', 1, () => {" +
    "require('fs').writeSync(1, String(s.address().port)); process.kill(process.pid, 'SIGSTOP'); })";
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(text);
  // The queue takes one connection more than was asked for.
  const queued = [1, 2].map(() => connectSocket(port, '127.0.0.1'));
  await Promise.all(queued.map((socket) => once(socket, 'connect')));
  const server: Server = {
    url: `ldap://127.0.0.1:${port}`,
    host: '127.0.0.1',
    port,
    security: 'insecure',
  };
  return {
    server,
    async [Symbol.asyncDispose]() {
      const gone = once(child, 'close');
      for (const socket of queued) {
        socket.on('error', () => {}).destroy();
      }
      child.kill('SIGKILL');
      await gone;
    },
  };
}

test('ldaps to a server that speaks no TLS says so', async () => {
  await using fake = await startFakeServer({
    onConnection: (peer) => peer.write(searchDone({ id: 1 })),
  });
  const error = await errorOf(connectTo({ ...fake.server, security: 'ldaps' }));
  expect(error).toMatchObject({ kind: 'tls', step: 'tls' });
  expect(error.message).toContain('not in TLS');
  await fake.untilClosed();
});
