import type { Socket } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { connect } from '../connection/connection.ts';
import type { Server } from '../connection/types.ts';
import { answerSuccess } from '../testing/connecting.ts';
import type { FakePeer, FakeRequest, FakeServerOptions } from '../testing/fake-peer.ts';
import { type FakeServer, startFakeServer } from '../testing/fake-server.ts';
import { extendedResponse, searchEntry } from '../testing/ldap-answers.ts';
import { startFullPort } from './testing/full-port.ts';
import { type RawServer, startRawServer } from './testing/raw-server.ts';
import { directoryOf, ldapOptions, never, searchOnce } from './testing/set-up.ts';
import { isUserBind, startWorkingServer, userNumber } from './testing/working-server.ts';

const serverTimeout = 300;
const failures = 2;
const garbage = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');

type Script = (request: FakeRequest, peer: FakePeer) => void;

const silent = () => {};
const reset: Script = (_request, peer) => peer.reset();
const end: Script = (_request, peer) => peer.end();
const babble: Script = (_request, peer) => peer.write(garbage);
const halfResult: Script = ({ id }, peer) => peer.write(searchEntry({ id, dn: 'uid=jane' }));

const halfResultAndReset: Script = (request, peer) => {
  halfResult(request, peer);
  peer.reset();
};

/** Obliges, but for requests of one kind. */
const at = (which: (request: FakeRequest) => boolean, script: Script): FakeServerOptions => ({
  onRequest: (request, peer) => (which(request) ? script(request, peer) : answerSuccess(request, peer)),
});
const serviceBind = (request: FakeRequest) => request.operation === 'bind' && !isUserBind(request);
const search = ({ operation }: FakeRequest) => operation === 'search';

interface Fault {
  readonly name: string;
  /** What the metric of the step that fails is labelled with. */
  readonly result: string;
  readonly use: 'service' | 'user';
  readonly start: () => Promise<FakeServer | RawServer>;
}

const fault = (use: Fault['use'], name: string, result: string, options: FakeServerOptions): Fault => ({
  name,
  result,
  use,
  start: () => startFakeServer(options),
});
/** Before the bind, so that both uses meet it. */
const early = (name: string, result: string, start: Fault['start']): readonly Fault[] =>
  (['service', 'user'] as const).map((use) => ({ name, result, use, start }));
const yesToStartTls = (socket: Socket) => socket.once('data', () => socket.write(extendedResponse({ id: 1 })));

const faults: readonly Fault[] = [
  ...early('resets each connection', 'closed', () =>
    startRawServer('insecure', (socket) => socket.once('data', () => socket.resetAndDestroy())),
  ),
  ...early('ends each connection', 'closed', () => startRawServer('insecure', (socket) => socket.end())),
  ...early('is silent from the start', 'timeout', () => startRawServer('insecure')),
  ...early('talks no LDAP', 'protocol', () => startRawServer('insecure', (socket) => socket.write(garbage))),
  ...early('is silent in TLS', 'timeout', () => startRawServer('ldaps')),
  ...early('talks no TLS', 'tls', () => startRawServer('ldaps', (socket) => socket.write(garbage))),
  ...early('is silent at StartTLS', 'timeout', () => startRawServer('starttls')),
  ...early('ends at StartTLS', 'closed', () => startFakeServer({ security: 'starttls', onStartTls: end })),
  ...early('accepts StartTLS and is silent then', 'timeout', () => startRawServer('starttls', yesToStartTls)),
  fault('service', 'is silent at the service bind', 'timeout', at(serviceBind, silent)),
  fault('service', 'resets at the service bind', 'closed', at(serviceBind, reset)),
  fault('service', 'answers the service bind with garbage', 'protocol', at(serviceBind, babble)),
  fault('service', 'is silent at the search', 'timeout', at(search, silent)),
  fault('service', 'is silent in mid-result', 'timeout', at(search, halfResult)),
  fault('service', 'resets in mid-result', 'closed', at(search, halfResultAndReset)),
  fault('service', 'ends in the search', 'closed', at(search, end)),
  fault('service', 'answers the search with garbage', 'protocol', at(search, babble)),
  fault('user', 'is silent at the user bind', 'timeout', at(isUserBind, silent)),
  fault('user', 'resets at the user bind', 'closed', at(isUserBind, reset)),
  fault('user', 'ends at the user bind', 'closed', at(isUserBind, end)),
  fault('user', 'answers the user bind with garbage', 'protocol', at(isUserBind, babble)),
];

/** The server takes the connection, and then no user can bind: that may be the user's own hash, so no circuit counts it. */
const atUserBinds = new Set([
  'resets each connection',
  'ends each connection',
  'is silent from the start',
  'is silent at the user bind',
  'resets at the user bind',
  'ends at the user bind',
]);

const figures: string[] = [];
afterAll(() => {
  console.info(
    `Milliseconds of each call, the bad server first (serverTimeout ${serverTimeout}):\n${figures.join('\n')}`,
  );
});

/** Asks until the circuit must be open and then some; gives the times, and who answered. */
async function askAll(use: Fault['use'], bad: Server, good: Server) {
  const options = ldapOptions([bad, good], { serverTimeout, circuit: { failures, probeInterval: 600_000 } });
  const { directory, lines, ...recorded } = directoryOf(options, connect);
  const times: number[] = [];
  for (let call = 0; call < failures + 3; call++) {
    const began = performance.now();
    const asked =
      use === 'service'
        ? directory.withService(searchOnce(), { signal: never })
        : directory.bindUser(userNumber(call), { signal: never });
    expect((await asked).server.url).toBe(good.url);
    times.push(Math.round(performance.now() - began));
  }
  const values = new Map(recorded.values);
  await directory.close();
  return { times, values, lines };
}

describe.concurrent('the first of two servers', () => {
  test.each(faults)('$name, at a $use call: the second answers, and soon a bad one costs nothing', async (fault) => {
    const isCounted = fault.use === 'service' || !atUserBinds.has(fault.name);
    await using bad = await fault.start();
    await using good = await startWorkingServer();
    const { server } = bad;
    const { times, values, lines } = await askAll(fault.use, server, good.server);
    figures.push(`  ${fault.name} (${fault.use}): ${times.join(', ')}`);

    for (const time of times) expect(time).toBeLessThan(5 * serverTimeout);
    expect(bad.connections).toBe(isCounted ? failures : times.length);
    expect(values.get(`server_circuit_state{server=${server.url}}`)).toBe(isCounted ? 2 : 0);
    expect(
      [...values.keys()].filter((key) => key.includes(server.url) && key.includes(`result=${fault.result}`)),
    ).toHaveLength(1);
    expect(lines.map(({ level }) => level)).toEqual(isCounted ? ['warn'] : []);
    await bad.untilClosed();
    await good.untilClosed();
  });

  test('whose queue of connections is full, at both calls', async () => {
    await using full = await startFullPort();
    await using good = await startWorkingServer();
    const server: Server = {
      url: `ldap://full:${full.port}`,
      host: '127.0.0.1',
      port: full.port,
      security: 'insecure',
    };
    for (const use of ['service', 'user'] as const) {
      const { times, values } = await askAll(use, server, good.server);
      figures.push(`  its queue is full (${use}): ${times.join(', ')}`);
      for (const time of times) expect(time).toBeLessThan(5 * serverTimeout);
      expect(values.get(`connects_total{server=${server.url},result=timeout}`)).toBe(failures);
    }
  });

  test('that no one listens on, at both calls', async () => {
    const gone = await startFakeServer();
    await gone[Symbol.asyncDispose]();
    await using good = await startWorkingServer();
    for (const use of ['service', 'user'] as const) {
      const { times, values } = await askAll(use, gone.server, good.server);
      figures.push(`  no one listens (${use}): ${times.join(', ')}`);
      expect(values.get(`connects_total{server=${gone.server.url},result=unreachable}`)).toBe(failures);
    }
  });
});
