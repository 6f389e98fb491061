import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Direction, FaultPlan } from './fault-plan.ts';
import { waitUntil } from './wait-until.ts';

export interface FaultProxyOptions {
  readonly target: { readonly host: string; readonly port: number };
  /** Asked at each connection, in their order. */
  readonly plan: () => FaultPlan;
}

/** A bad network in front of a server. */
export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections that ever came in. */
  readonly connections: number;
  /** How many plans of each kind were given out. */
  readonly plans: Readonly<Record<string, number>>;
  /** Those of clients. A fault of the proxy's closes them, unless it is a stall; else the client has to. */
  readonly openSockets: number;
  untilClosed(): Promise<void>;
}

/** Listens on a port of 127.0.0.1 and passes each connection on to the target, as its plan says. */
export async function startFaultProxy({ target, plan }: FaultProxyOptions): Promise<FaultProxy> {
  const clients = new Set<Socket>();
  const plans: Record<string, number> = {};
  let connections = 0;
  const listener = createServer({ noDelay: true }, (client) => {
    connections += 1;
    clients.add(client);
    client.once('close', () => clients.delete(client));
    const chosen = plan();
    plans[chosen.kind] = (plans[chosen.kind] ?? 0) + 1;
    join(client, connect({ ...target, noDelay: true }), chosen);
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');

  return {
    port: (listener.address() as AddressInfo).port,
    plans,
    get connections() {
      return connections;
    },
    get openSockets() {
      return clients.size;
    },
    untilClosed: () => waitUntil(() => clients.size === 0, 'all clients to close their connections'),
    async [Symbol.asyncDispose]() {
      const closed = once(listener, 'close');
      listener.close();
      for (const client of clients) {
        client.destroy();
      }
      await closed;
    },
  };
}

/** One way of a connection. */
interface Way {
  readonly from: Socket;
  readonly to: Socket;
  /** Ends both, in the way of the plan. */
  end(how: 'reset' | 'close'): void;
}

function join(client: Socket, server: Socket, plan: FaultPlan): void {
  const sockets = [client, server];
  function end(how: 'reset' | 'close'): void {
    for (const socket of sockets) {
      if (how === 'reset') socket.resetAndDestroy();
      else socket.destroySoon();
    }
  }
  for (const socket of sockets) {
    socket.on('error', () => {});
  }
  // A stalled client is not told that the server has gone. The server is told of the client, else it would wait for it.
  server.once('close', () => plan.kind !== 'stall' && client.destroySoon());
  client.once('close', () => server.destroy());
  const planFor = (direction: Direction): FaultPlan =>
    'direction' in plan
      ? plan.direction === direction
        ? plan
        : untouched
      : direction === 'to-client'
        ? plan
        : untouched;
  pump({ from: client, to: server, end }, planFor('to-server'));
  pump({ from: server, to: client, end }, planFor('to-client'));
}

const untouched: FaultPlan = { kind: 'pass' };

function pump(way: Way, plan: FaultPlan): void {
  const pass = passing(way, plan);
  // Without an encoding set, data is bytes.
  way.from.on('data', (data) => pass(data as Buffer));
}

/** What is done with each chunk. */
function passing(way: Way, plan: FaultPlan): (chunk: Buffer) => void {
  switch (plan.kind) {
    case 'pass':
      return (chunk) => way.to.write(chunk);
    case 'split':
      return inOrder(async (chunk) => {
        for (const byte of chunk) {
          way.to.write(Buffer.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
    case 'delay':
      return inOrder(async (chunk) => {
        await new Promise((resolve) => setTimeout(resolve, plan.time));
        way.to.write(chunk);
      });
    case 'glue':
      return gluing(way, plan.time);
    default:
      return cutting(way, plan);
  }
}

/** The next chunk waits for the one before. */
function inOrder(pass: (chunk: Buffer) => Promise<void>): (chunk: Buffer) => void {
  let last = Promise.resolve();
  return (chunk) => {
    last = last.then(() => pass(chunk));
  };
}

function gluing({ to }: Way, time: number): (chunk: Buffer) => void {
  let held: Buffer[] = [];
  return (chunk) => {
    held.push(chunk);
    if (held.length > 1) return;
    setTimeout(() => {
      to.write(Buffer.concat(held));
      held = [];
    }, time);
  };
}

type Cut = Extract<FaultPlan, { direction: Direction }>;

/** Passes the first `after` bytes on, then does what the plan says, once. */
function cutting(way: Way, plan: Cut): (chunk: Buffer) => void {
  let left = plan.after;
  let isDone = false;
  function act(rest: Buffer): void {
    isDone = true;
    if (plan.kind === 'garbage') way.to.write(plan.instead ? plan.bytes : Buffer.concat([plan.bytes, rest]));
    else if (plan.kind !== 'stall') way.end(plan.kind);
  }
  if (left === 0) act(Buffer.alloc(0));
  const swallows = plan.kind !== 'garbage' || plan.instead;
  return (chunk) => {
    if (isDone) {
      if (!swallows) way.to.write(chunk);
      return;
    }
    way.to.write(chunk.subarray(0, left));
    const rest = chunk.subarray(left);
    left -= chunk.length - rest.length;
    if (left === 0) act(rest);
  };
}
