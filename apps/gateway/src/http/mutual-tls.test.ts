import { once } from 'node:events';
import { Agent } from 'node:https';
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createTestAuthority, type Pair, type TestAuthority } from '../testing/certificates.ts';
import { openRaw, openSession, rawPost, review, send, sendOn } from '../testing/clients.ts';
import { anHour, holdTimers, startTestServer, type TestServer } from '../testing/server.ts';
import { readTlsMaterial, type TlsMaterial } from './tls.ts';

let authority: TestAuthority;
let foreign: TestAuthority;
let server: Pair;
let renewed: Pair;
let apiServer: Pair;
let kubelet: Pair;
let forged: Pair;
beforeAll(async () => {
  [authority, foreign] = await Promise.all([
    createTestAuthority(),
    createTestAuthority('foreign CA'),
  ]);
  const loopback = { alternativeNames: ['IP.1 = 127.0.0.1'] };
  [server, renewed, apiServer, kubelet, forged] = await Promise.all([
    authority.issue({ commonName: 'gateway', ...loopback }),
    authority.issue({ commonName: 'gateway renewed', ...loopback }),
    authority.issue({ commonName: 'kube-apiserver' }),
    authority.issue({ commonName: 'system:node:a' }),
    foreign.issue({ commonName: 'kube-apiserver' }),
  ]);
});
afterAll(() => Promise.all([authority.remove(), foreign.remove()]));

const material = (
  pair = server,
  names = ['kube-apiserver'],
  caFile = authority.certFile,
): Promise<TlsMaterial> =>
  readTlsMaterial({ ...pair, minVersion: 'TLSv1.2', client: { caFile, names } });
const as = ({ cert, key }: Pair) => ({ ca: authority.cert, cert, key });
/** Keeps one connection of HTTP/1.1 open until the test ends. */
const keepAlive = (identity: object): Agent => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ...identity });
  onTestFinished(() => agent.destroy());
  return agent;
};
const start = async (): Promise<TestServer> => startTestServer({ tls: await material() });

describe('mutual TLS', () => {
  test('a client with the right name is served, over both protocols', async () => {
    const gateway = await start();
    expect((await send(gateway.url, as(apiServer))).status).toBe(200);
    expect((await sendOn(openSession(gateway.url, as(apiServer)))).status).toBe(200);
  });

  test('a client with another name is refused over both protocols, and logged once for each connection, first as a warning', async () => {
    const gateway = await start();
    const refused = {
      status: 403,
      json: {
        kind: 'Status',
        reason: 'Forbidden',
        message: expect.stringMatching(
          /"CN=system:node:a".*server\.tls\.clientNames: its names are system:node:a$/,
        ),
      },
    };
    expect(await send(gateway.url, as(kubelet))).toMatchObject(refused);
    const session = openSession(gateway.url, as(kubelet));
    // They are more than may be in progress.
    for (let time = 0; time < 5; time++) expect(await sendOn(session)).toMatchObject(refused);
    expect(await sendOn(session, { headers: { ':path': '/' } })).toMatchObject(refused);
    expect(gateway.outcomes).toEqual([]);
    const logged = gateway.log.filter(
      ({ message }) => message === 'client certificate name is not in server.tls.clientNames',
    );
    expect(logged.map(({ level }) => level)).toEqual(['warn', 'debug']);
    expect(logged[0]).toMatchObject({ fields: { names: ['system:node:a'] } });
  });

  test('the names of a refused client are shown as clientNames would have them, few of them and printable', async () => {
    const gateway = await start();
    const long = 'a'.repeat(100);
    const first = ['IP.1 = 192.0.2.1', `DNS.1 = ${long}.example.com`];
    const others = Array.from({ length: 10 }, (_, index) => `DNS.${index + 2} = n${index}`);
    const client = await authority.issue({
      commonName: 'evil\u202e',
      alternativeNames: [...first, ...others],
    });
    const { json } = await send(gateway.url, as(client));
    expect(json).toMatchObject({
      message: expect.stringMatching(/^the client certificate "CN=evil\\u\{202e\}" has none/),
    });
    const names = `evil\\u{202e}, 192.0.2.1, ${long}…, n0, n1, n2, n3, n4 and 5 more`;
    expect((json as { message: string }).message.split(': its names are ').at(-1)).toBe(names);
    const [logged] = gateway.log.filter(({ level }) => level === 'warn');
    expect(logged).toMatchObject({
      fields: { subject: 'CN=evil\\u{202e}', names: names.replace(/ and 5 more$/, '').split(', ') },
    });
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s: a client with no certificate, or with one of another CA, is refused',
    async (maxVersion) => {
      const gateway = await start();
      await expect(
        send(gateway.url, { ca: authority.cert, maxVersion } as object),
      ).rejects.toThrow();
      await expect(send(gateway.url, { ...as(forged), maxVersion } as object)).rejects.toThrow();
      expect((await send(gateway.url, as(apiServer))).status).toBe(200);
      const logged = gateway.log.filter(({ level }) => level !== 'debug');
      expect(logged.map(({ message, fields }) => [message, fields])).toEqual(
        ['ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'].map(
          (reason) => ['client certificate not accepted', { peer: '127.0.0.1', reason }],
        ),
      );
    },
  );

  test('TLS 1.1 is refused, and so is 1.2 if 1.3 is the minimum', async () => {
    const handshake = async (gateway: TestServer, version: 'TLSv1.1' | 'TLSv1.2') => {
      const options = {
        host: '127.0.0.1',
        port: gateway.port,
        ...as(apiServer),
        minVersion: version,
        maxVersion: version,
      };
      const socket = connect({ ...options, ciphers: 'DEFAULT@SECLEVEL=0' });
      await once(socket, 'secureConnect').finally(() => socket.destroy());
    };
    const gateway = await start();
    await expect(handshake(gateway, 'TLSv1.1')).rejects.toThrow();
    await handshake(gateway, 'TLSv1.2');
    const strict = await startTestServer({ tls: { ...(await material()), minVersion: 'TLSv1.3' } });
    await expect(handshake(strict, 'TLSv1.2')).rejects.toThrow();
  });

  test('connections without TLS, and handshakes that never end, are closed', async () => {
    const gateway = await startTestServer({
      tls: await material(),
      limits: { handshakeTimeout: 50 },
    });
    const [plain, silent] = [openRaw(gateway.port), openRaw(gateway.port)];
    plain.socket.write('POST /authenticate HTTP/1.1\r\n\r\n');
    await Promise.all([plain.closed, silent.closed]);
    expect(gateway.log.map(({ message }) => message)).toContain('TLS handshake failed');
  });
});

describe('a certificate that expired while its connection was open', () => {
  test('is refused, and the connection retired', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const gateway = await startTestServer({
      tls: await material(),
      limits: { drainGrace: anHour },
    });
    const agent = keepAlive(as(apiServer));
    expect((await send(gateway.url, { agent })).status).toBe(200);
    vi.setSystemTime(Date.now() + 31 * 24 * 60 * 60 * 1000);
    const message = expect.stringMatching(/"CN=kube-apiserver" has expired since/);
    expect(await send(gateway.url, { agent })).toMatchObject({
      status: 403,
      headers: { connection: 'close' },
      json: { message },
    });
  });
});

describe('updateTls', () => {
  test('new connections get the new pair; open ones stay', async () => {
    const gateway = await start();
    const session = openSession(gateway.url, as(apiServer));
    const agent = keepAlive(as(apiServer));
    const createConnection = vi.spyOn(agent, 'createConnection');
    await Promise.all([sendOn(session), send(gateway.url, { agent })]);
    gateway.updateTls(await material(renewed));
    expect((await sendOn(session)).status).toBe(200);
    expect(await send(gateway.url, { agent })).toMatchObject({
      status: 200,
      headers: { connection: 'keep-alive' },
    });
    expect(createConnection).toHaveBeenCalledOnce();
    expect(session.closed).toBe(false);
    const fresh = connect({ host: '127.0.0.1', port: gateway.port, ...as(apiServer) });
    await once(fresh, 'secureConnect');
    expect(fresh.getPeerCertificate().subject.CN).toBe('gateway renewed');
    fresh.destroy();
  });

  test('a pair that does not fit is refused, and the old one stays', async () => {
    const gateway = await start();
    const tls = await material();
    expect(() => gateway.updateTls({ ...tls, key: kubelet.key })).toThrow(/key values mismatch/);
    expect((await send(gateway.url, as(apiServer))).status).toBe(200);
  });

  test('changed names apply to the next request of an open connection, which is retired', async () => {
    const gateway = await startTestServer({
      tls: await material(),
      limits: { drainGrace: anHour },
    });
    const agent = keepAlive(as(apiServer));
    const session = openSession(gateway.url, as(apiServer));
    expect((await send(gateway.url, { agent })).status).toBe(200);
    expect((await sendOn(session)).status).toBe(200);
    const away = once(session, 'goaway');
    gateway.updateTls(await material(server, ['system:node:a']));
    expect(await send(gateway.url, { agent })).toMatchObject({
      status: 403,
      headers: { connection: 'close' },
    });
    await away;
    expect((await send(gateway.url, as(kubelet))).status).toBe(200);
  });

  test('a changed client CA retires open connections, and idle ones of HTTP/1.1 are closed', async () => {
    const gateway = await start();
    const session = openSession(gateway.url, as(apiServer));
    const idle = connect({ host: '127.0.0.1', port: gateway.port, ...as(apiServer) });
    await Promise.all([sendOn(session), once(idle, 'secureConnect')]);
    const away = once(session, 'goaway');
    gateway.updateTls(await material(server, ['kube-apiserver'], foreign.certFile));
    await Promise.all([away, once(session, 'close'), once(idle.resume(), 'close')]);
    await expect(send(gateway.url, as(apiServer))).rejects.toThrow();
    expect((await send(gateway.url, as(forged))).status).toBe(200);
  });

  test('a handshake that began under the old client CA does not end under it', async () => {
    const gateway = await start();
    const withheld: Buffer[] = [];
    const holding = Promise.withResolvers<Socket>();
    // It passes the ClientHello, and withholds the client's certificate, which follows.
    const proxy = createServer((client) => {
      const upstream = connectPlain(gateway.port, '127.0.0.1');
      upstream.pipe(client);
      upstream.on('error', () => client.destroy());
      upstream.on('close', () => client.destroy());
      client.on('error', () => upstream.destroy());
      client.once('data', (hello: Buffer) => {
        upstream.write(hello);
        client.on('data', (chunk: Buffer) => {
          withheld.push(chunk);
          holding.resolve(upstream);
        });
      });
    });
    onTestFinished(() => void proxy.close());
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    const { port } = proxy.address() as AddressInfo;
    const client = connect({ host: '127.0.0.1', port, ...as(apiServer) });
    let received = '';
    client.on('error', () => undefined);
    client.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    const closed = new Promise<void>((resolve) => {
      client.once('close', () => resolve());
    });
    client.write(rawPost(review()));
    const upstream = await holding.promise;
    gateway.updateTls(await material(server, ['kube-apiserver'], foreign.certFile));
    for (const chunk of withheld) upstream.write(chunk);
    await closed;
    expect(received).toBe('');
    expect(gateway.outcomes).toEqual([]);
  });

  test('client certificates can become required, and optional again', async () => {
    const { client: _none, ...open } = await material();
    const gateway = await startTestServer({ tls: open });
    expect((await send(gateway.url, { ca: authority.cert })).status).toBe(200);
    gateway.updateTls(await material());
    await expect(send(gateway.url, { ca: authority.cert })).rejects.toThrow();
    expect((await send(gateway.url, as(apiServer))).status).toBe(200);
    gateway.updateTls(open);
    expect((await send(gateway.url, { ca: authority.cert })).status).toBe(200);
  });

  test('a connection from before client certificates were required is refused', async () => {
    const { client: _none, ...open } = await material();
    const gateway = await startTestServer({ tls: open, limits: { drainGrace: anHour } });
    const agent = keepAlive({ ca: authority.cert });
    expect((await send(gateway.url, { agent })).status).toBe(200);
    gateway.updateTls(await material());
    const message = expect.stringMatching(/clientCAFile/);
    expect(await send(gateway.url, { agent })).toMatchObject({ status: 403, json: { message } });
  });

  test('a plain server says that it needs a restart', async () => {
    const gateway = await startTestServer();
    const tls = await material();
    expect(() => gateway.updateTls(tls)).toThrow(/restart/);
  });
});

describe('an old connection', () => {
  test('over HTTP/2 gets a GOAWAY, keeps its requests in progress, and ends', async () => {
    const decision = Promise.withResolvers<{ kind: 'no-opinion' }>();
    const begun = Promise.withResolvers<void>();
    const gateway = await startTestServer({
      tls: await material(),
      settings: { maxConnectionAge: 1000 },
      limits: { drainGrace: 1000 },
      authenticate: () => {
        begun.resolve();
        return decision.promise;
      },
    });
    const pass = holdTimers();
    const session = openSession(gateway.url, as(apiServer));
    const [away, closed] = [once(session, 'goaway'), once(session, 'close')];
    const answer = sendOn(session);
    await begun.promise;
    pass(1100);
    await away;
    decision.resolve({ kind: 'no-opinion' });
    expect((await answer).status).toBe(200);
    pass(1000);
    await closed;
  });

  test('over HTTP/1.1 ends with its next answer', async () => {
    const gateway = await startTestServer({
      tls: await material(),
      settings: { maxConnectionAge: 1 },
    });
    const agent = keepAlive(as(apiServer));
    await expect
      .poll(async () => (await send(gateway.url, { agent })).headers.connection)
      .toBe('close');
  });

  test('over HTTP/1.1 ends although the client always sends its next request early', async () => {
    const gateway = await startTestServer({
      tls: await material(),
      settings: { maxConnectionAge: 1 },
      limits: { drainGrace: 100 },
    });
    const socket = connect({ host: '127.0.0.1', port: gateway.port, ...as(apiServer) });
    onTestFinished(() => void socket.destroy());
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
    });
    socket.on('error', () => undefined);
    const request = rawPost(review());
    const bodyAt = request.indexOf('\r\n\r\n') + 4;
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('latin1')).slice(-2_000);
      // The rest of the request that has begun, and the head of the one after it: whenever one is answered, another
      // is in progress.
      socket.write(Buffer.concat([request.subarray(bodyAt), request.subarray(0, bodyAt)]));
    });
    socket.write(Buffer.concat([request, request.subarray(0, bodyAt)]));
    await closed;
    expect(text).toMatch(/Connection: close/i);
  });
});
