import type { Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { connectLdap } from '../connection/connection.ts';
import { answerSuccess, never } from '../connection/testing/connecting.ts';
import type { FakePeer, FakeRequest, FakeServerOptions } from '../connection/testing/fake-peer.ts';
import { type FakeServer, startFakeServer } from '../connection/testing/fake-server.ts';
import { extendedResponse, searchEntry } from '../connection/testing/ldap-answers.ts';
import { type RawServer, startRawServer } from '../connection/testing/raw-server.ts';
import { stopTimers } from '../connection/testing/stopped-timers.ts';
import type { Server } from '../connection/types.ts';
import { directoryOf, directoryOptions, searchOnce } from './testing/set-up.ts';
import { isUserBind, startWorkingServer, userNumber } from './testing/working-server.ts';

const serverTimeout = 1000;
const failures = 2;
const calls = failures + 3;
const garbage = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');

type Script = (request: FakeRequest, peer: FakePeer) => void;

/** Counts how often a server has become silent. */
let silences = 0;
const silent = () => {
  silences += 1;
};
const reset: Script = (_request, peer) => peer.reset();
const end: Script = (_request, peer) => peer.end();
const babble: Script = (_request, peer) => peer.write(garbage);
const half = ({ id }: FakeRequest) => searchEntry({ id, dn: 'uid=jane' });
const halfResult: Script = (request, peer) => {
  peer.write(half(request));
  silent();
};
const halfResultAndReset: Script = (request, peer) => {
  peer.write(half(request));
  peer.reset();
};

/** Answers all requests with success, except those of one kind. */
const at = (which: (request: FakeRequest) => boolean, script: Script): FakeServerOptions => ({
  onRequest: (request, peer) =>
    which(request) ? script(request, peer) : answerSuccess(request, peer),
});
const serviceBind = (request: FakeRequest) => request.operation === 'bind' && !isUserBind(request);
const search = ({ operation }: FakeRequest) => operation === 'search';

interface Fault {
  readonly name: string;
  /** The label in the metric of the step that fails. */
  readonly result: string;
  readonly use: 'service' | 'user';
  readonly start: () => Promise<FakeServer | RawServer>;
}

const fault = (
  use: Fault['use'],
  name: string,
  result: string,
  options: FakeServerOptions,
): Fault => ({
  name,
  result,
  use,
  start: () => startFakeServer(options),
});
/** Makes a fault before the bind, which both uses meet. */
const early = (name: string, result: string, start: Fault['start']): readonly Fault[] =>
  (['service', 'user'] as const).map((use) => ({ name, result, use, start }));
const silentWhenAsked = (socket: Socket) => socket.once('data', silent);
const yesToStartTls = (socket: Socket) =>
  socket.once('data', () => {
    socket.write(extendedResponse({ id: 1 }));
    silentWhenAsked(socket);
  });

const faults: readonly Fault[] = [
  ...early('resets each connection', 'closed', () =>
    startRawServer('insecure', (socket) => socket.once('data', () => socket.resetAndDestroy())),
  ),
  ...early('ends each connection', 'closed', () =>
    startRawServer('insecure', (socket) => socket.end()),
  ),
  ...early('is silent from the start', 'timeout', () =>
    startRawServer('insecure', silentWhenAsked),
  ),
  ...early('talks no LDAP', 'protocol', () =>
    startRawServer('insecure', (socket) => socket.write(garbage)),
  ),
  ...early('is silent in TLS', 'timeout', () => startRawServer('ldaps', silentWhenAsked)),
  ...early('talks no TLS', 'tls', () => startRawServer('ldaps', (socket) => socket.write(garbage))),
  ...early('is silent at StartTLS', 'timeout', () => startRawServer('starttls', silentWhenAsked)),
  ...early('ends at StartTLS', 'closed', () =>
    startFakeServer({ security: 'starttls', onStartTls: end }),
  ),
  ...early('accepts StartTLS and is silent then', 'timeout', () =>
    startRawServer('starttls', yesToStartTls),
  ),
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

/** Faults after the connection, at the user's bind. The user's own hash may cause them, so no circuit counts them. */
const atUserBinds = new Set([
  ...[
    'resets each connection',
    'ends each connection',
    'is silent from the start',
    'is silent at the user bind',
  ],
  ...['resets at the user bind', 'ends at the user bind'],
]);

/** Lets the time of one step pass whenever a server has become silent. */
async function untilAnswered<T>(asked: Promise<T>): Promise<T> {
  let isPending = true;
  const end = () => {
    isPending = false;
  };
  asked.then(end, end);
  for (let passed = silences; isPending; await new Promise(setImmediate)) {
    if (silences > passed) vi.advanceTimersByTime(serverTimeout);
    passed = silences;
  }
  return asked;
}

/** Asks until the circuit must be open, and some times more. */
async function askAll(use: Fault['use'], bad: Server, good: Server) {
  const options = directoryOptions([bad, good], {
    serverTimeout,
    circuit: { failures, probeInterval: 600_000 },
  });
  const { directory, lines, ...recorded } = directoryOf(options, connectLdap);
  for (let call = 0; call < calls; call++) {
    const asked =
      use === 'service'
        ? directory.withService(searchOnce(), { signal: never })
        : directory.bindUser(userNumber(call), { signal: never });
    expect((await untilAnswered<{ server: Server }>(asked)).server.url).toBe(good.url);
  }
  const values = new Map(recorded.values);
  await directory.close();
  return { values, lines };
}

test.each(faults)(
  'the first of two servers $name, at a $use call: the second answers',
  async (fault) => {
    stopTimers();
    const isCounted = fault.use === 'service' || !atUserBinds.has(fault.name);
    await using bad = await fault.start();
    await using good = await startWorkingServer();
    const { server } = bad;
    const { values, lines } = await askAll(fault.use, server, good.server);
    // Once its circuit is open, the server costs nothing.
    expect(bad.connections).toBe(isCounted ? failures : calls);
    expect(values.get(`server_circuit_state{server=${server.url}}`)).toBe(isCounted ? 2 : 0);
    expect(
      [...values.keys()].filter(
        (key) => key.includes(server.url) && key.includes(`result=${fault.result}`),
      ),
    ).toHaveLength(1);
    expect(lines.map(({ level }) => level)).toEqual(isCounted ? ['warn'] : []);
    await bad.untilClosed();
    await good.untilClosed();
  },
);
