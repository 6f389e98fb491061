import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface ManglingProxyOptions {
  /** A port of 127.0.0.1. */
  readonly target: number;
  /** In [0, 1). */
  readonly random: () => number;
  /** How many of the pieces for the client are mangled, in [0, 1]. Asked at each piece. */
  readonly share: () => number;
  /** What is put in among the answers, besides pieces that came before and random bytes. */
  readonly insertions: readonly string[];
}

/** Forwards to a server and mangles its answers. */
export interface ManglingProxy extends AsyncDisposable {
  readonly port: number;
  /** How often each way of mangling was used. */
  readonly done: ReadonlyMap<string, number>;
}

/** Earlier pieces that may be inserted again, on whatever connection. */
const mostEarlier = 50;

export async function startManglingProxy(options: ManglingProxyOptions): Promise<ManglingProxy> {
  const sockets = new Set<Socket>();
  const done = new Map<string, number>();
  const mangle = createMangler(options, done);
  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ port: options.target, host: '127.0.0.1', noDelay: true });
    client.on('data', (piece) => server.write(piece));
    server.on('data', (piece) => client.write(mangle(piece as Buffer)));
    for (const [one, other] of [[client, server] as const, [server, client] as const]) {
      sockets.add(one);
      one.on('error', () => {});
      one.once('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    done,
    async [Symbol.asyncDispose]() {
      const closed = once(listener, 'close');
      listener.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function createMangler(
  { random, share, insertions }: ManglingProxyOptions,
  done: Map<string, number>,
): (piece: Buffer) => Buffer {
  const earlier: Buffer[] = [];
  const below = (end: number) => Math.floor(random() * end);
  const insert = (piece: Buffer, bytes: Buffer, at = below(piece.length + 1)) =>
    Buffer.concat([piece.subarray(0, at), bytes, piece.subarray(at)]);
  /** Where a line begins: what is put in there may look like an answer. */
  const lineStart = (piece: Buffer) => piece.indexOf('\n', below(piece.length)) + 1;
  const ways: Readonly<Record<string, (piece: Buffer) => Buffer>> = {
    random: (piece) => insert(piece, Buffer.from(Array.from({ length: 1 + below(20) }, () => below(256)))),
    flip(piece) {
      const copy = Buffer.from(piece);
      const at = below(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << below(8));
      return copy;
    },
    cut(piece) {
      const at = below(piece.length);
      return Buffer.concat([piece.subarray(0, at), piece.subarray(at + 1 + below(20))]);
    },
    double: (piece) => Buffer.concat([piece, piece]),
    doublePart(piece) {
      const [start, end] = [lineStart(piece), lineStart(piece)].sort((one, other) => one - other);
      return insert(piece, piece.subarray(start, end), lineStart(piece));
    },
    drop: () => Buffer.alloc(0),
    earlier: (piece) => insert(piece, earlier[below(earlier.length)] ?? piece, lineStart(piece)),
    insertion: (piece) => insert(piece, Buffer.from(insertions[below(insertions.length)] ?? ''), lineStart(piece)),
    before: (piece) => insert(piece, Buffer.from(insertions[below(insertions.length)] ?? ''), 0),
    behind: (piece) => insert(piece, Buffer.from(insertions[below(insertions.length)] ?? ''), piece.length),
  };
  const names = Object.keys(ways);
  return (piece) => {
    earlier[earlier.length < mostEarlier ? earlier.length : below(mostEarlier)] = piece;
    const name = random() < share() ? (names[below(names.length)] ?? '') : '';
    if (name !== '') done.set(name, (done.get(name) ?? 0) + 1);
    return ways[name]?.(piece) ?? piece;
  };
}
