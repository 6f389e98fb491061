import { connect, type Socket } from 'node:net';
import { extend, startTcpServer, type TcpServer } from './tcp-server.ts';
import { waitFor } from './wait-for.ts';

export interface FaultProxyOptions {
  readonly target: { readonly host: string; readonly port: number };
  /** Called for each connection, in their order. */
  readonly plan: () => FaultPlan;
}

/**
 * A bad network in front of a server. It closes the connections of clients as their plan says; a stalled one only the
 * client can close.
 */
export interface FaultProxy extends TcpServer {
  /** How many plans of each kind were used. */
  readonly plans: Readonly<Record<string, number>>;
  untilClosed(): Promise<unknown>;
}

/** Forwards each connection to the target, with the fault of its plan. */
export async function startFaultProxy({ target, plan }: FaultProxyOptions): Promise<FaultProxy> {
  const plans: Record<string, number> = {};
  const proxy = await startTcpServer((client) => {
    const chosen = plan();
    plans[chosen.kind] = (plans[chosen.kind] ?? 0) + 1;
    join(client, connect({ ...target, noDelay: true }), chosen);
  });
  return extend(proxy, {
    plans,
    untilClosed: () =>
      waitFor(() => proxy.openSockets === 0, 'all clients to close their connections'),
  });
}

/** One direction of a connection. */
interface Flow {
  readonly from: Socket;
  readonly to: Socket;
  /** Ends both directions. */
  end(how: 'reset' | 'close'): void;
}

function join(client: Socket, server: Socket, plan: FaultPlan): void {
  function end(how: 'reset' | 'close'): void {
    for (const socket of [client, server]) {
      if (how === 'reset') socket.resetAndDestroy();
      else socket.destroySoon();
    }
  }
  server.on('error', () => {});
  // A stalled client must not notice the end of the server. The server must notice the end of the client.
  server.once('close', () => plan.kind !== 'stall' && client.destroySoon());
  client.once('close', () => server.destroy());
  const faultyDirection = 'direction' in plan ? plan.direction : 'to-client';
  const planFor = (direction: Direction): FaultPlan =>
    direction === faultyDirection ? plan : { kind: 'pass' };
  pump({ from: client, to: server, end }, planFor('to-server'));
  pump({ from: server, to: client, end }, planFor('to-client'));
}

function pump(flow: Flow, plan: FaultPlan): void {
  const pass = passing(flow, plan);
  // Without an encoding, data is bytes.
  flow.from.on('data', (data) => pass(data as Buffer));
}

/** Handles each chunk as the plan says. */
function passing(flow: Flow, plan: FaultPlan): (chunk: Buffer) => void {
  switch (plan.kind) {
    case 'pass':
      return (chunk) => flow.to.write(chunk);
    case 'split':
      return inOrder(async (chunk) => {
        for (const byte of chunk) {
          flow.to.write(Buffer.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
    case 'delay':
      return inOrder(async (chunk) => {
        await new Promise((resolve) => setTimeout(resolve, plan.time));
        flow.to.write(chunk);
      });
    case 'glue':
      return gluing(flow, plan.time);
    case 'lose':
      return (chunk) => (plan.isLost(chunk) ? flow.end('close') : flow.to.write(chunk));
    default:
      return cutting(flow, plan);
  }
}

/** Each chunk waits for the one before. */
function inOrder(pass: (chunk: Buffer) => Promise<void>): (chunk: Buffer) => void {
  let last = Promise.resolve();
  return (chunk) => {
    last = last.then(() => pass(chunk));
  };
}

function gluing({ to }: Flow, time: number): (chunk: Buffer) => void {
  let waiting: Buffer[] = [];
  return (chunk) => {
    waiting.push(chunk);
    if (waiting.length > 1) return;
    setTimeout(() => {
      to.write(Buffer.concat(waiting));
      waiting = [];
    }, time);
  };
}

type Cut = Extract<FaultPlan, { direction: Direction }>;

/** Forwards the first `after` bytes, then does what the plan says, once. */
function cutting(flow: Flow, plan: Cut): (chunk: Buffer) => void {
  let left = plan.after;
  let isDone = false;
  function act(rest: Buffer): void {
    isDone = true;
    if (plan.kind === 'garbage')
      flow.to.write(plan.instead ? plan.bytes : Buffer.concat([plan.bytes, rest]));
    else if (plan.kind !== 'stall') flow.end(plan.kind);
  }
  if (left === 0) act(Buffer.alloc(0));
  const swallows = plan.kind !== 'garbage' || plan.instead;
  return (chunk) => {
    if (isDone) {
      if (!swallows) flow.to.write(chunk);
      return;
    }
    flow.to.write(chunk.subarray(0, left));
    const rest = chunk.subarray(left);
    left -= chunk.length - rest.length;
    if (left === 0) act(rest);
  };
}

/** The bytes that a fault counts and changes. */
export type Direction = 'to-server' | 'to-client';

/** What happens to one connection through the proxy. `after` counts bytes of the direction. At 0, it happens at the start. */
export type FaultPlan =
  | { readonly kind: 'pass' }
  /** Both sides are reset, or closed normally, and the chunk is cut there. */
  | { readonly kind: 'reset' | 'close'; readonly direction: Direction; readonly after: number }
  /** Nothing more is forwarded, and neither side notices. */
  | { readonly kind: 'stall'; readonly direction: Direction; readonly after: number }
  /** The client receives each byte by itself. */
  | { readonly kind: 'split' }
  /** The client receives all bytes of this time together. Milliseconds. */
  | { readonly kind: 'glue'; readonly time: number }
  /** Both sides are closed in place of the first chunk to the client that is to be lost. */
  | { readonly kind: 'lose'; readonly isLost: (chunk: Buffer) => boolean }
  /** Each chunk to the client is delayed by this time. Milliseconds. */
  | { readonly kind: 'delay'; readonly time: number }
  /** Foreign bytes are inserted. With `instead`, they replace all bytes that follow. */
  | {
      readonly kind: 'garbage';
      readonly direction: Direction;
      readonly after: number;
      readonly bytes: Buffer;
      readonly instead: boolean;
    };

export interface RandomPlansOptions {
  readonly seed: number;
  /** The share of connections without a fault, in [0, 1]. */
  readonly passing: number;
  /** The limit of `after`. A login over TLS is some 3,000 bytes in each direction, one in clear text some 300. */
  readonly bytes: number;
  /** The limit of `time`. */
  readonly time: number;
}

/** Plans that depend on the seed alone, one for each call: connections in the same order meet the same faults. */
export function randomPlans({ seed, passing, bytes, time }: RandomPlansOptions): () => FaultPlan {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const place = () =>
    ({ direction: random() < 0.5 ? 'to-server' : 'to-client', after: below(bytes) }) as const;
  const makers: readonly (() => FaultPlan)[] = [
    () => ({ kind: 'reset', ...place() }),
    () => ({ kind: 'close', ...place() }),
    () => ({ kind: 'stall', ...place() }),
    () => ({ kind: 'split' }),
    () => ({ kind: 'glue', time: below(time) }),
    () => ({ kind: 'delay', time: below(time) }),
    () => ({
      kind: 'garbage',
      ...place(),
      bytes: randomBytes(random, 1 + below(64)),
      instead: random() < 0.5,
    }),
    // A server that is shutting down does this.
    () => ({ kind: 'reset', direction: 'to-client', after: 0 }),
  ];
  return () =>
    random() < passing ? { kind: 'pass' } : (makers[below(makers.length)]?.() ?? { kind: 'pass' });
}

/** Half of them begin like an LDAP message, so that clients do not refuse them at the first byte. */
function randomBytes(random: () => number, length: number): Buffer {
  const bytes = Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
  if (random() < 0.5) bytes[0] = 0x30;
  return bytes;
}

/** A linear congruential generator with mixed output: short, and good enough here. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 16), 0x45d9f3b) >>> 0;
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
