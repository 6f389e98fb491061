import { connectBehind, extend, startTcpServer, type TcpServer } from './tcp-server.ts';

export interface ManglingProxyOptions {
  /** A port of 127.0.0.1. */
  readonly target: number;
  /** Returns a number in [0, 1). */
  readonly random: () => number;
  /** The share of chunks for the client that are mangled, in [0, 1]. Called for each chunk. */
  readonly share: () => number;
  /** Texts that are inserted into answers, besides earlier chunks and random bytes. */
  readonly insertions: readonly string[];
}

/** A proxy that mangles the answers of a server. */
export interface ManglingProxy extends TcpServer {
  /** How often each kind of change was made. */
  readonly done: ReadonlyMap<string, number>;
}

/** The number of earlier chunks that may be inserted again, on any connection. */
const maxEarlier = 50;

export async function startManglingProxy(options: ManglingProxyOptions): Promise<ManglingProxy> {
  const done = new Map<string, number>();
  const mangle = createMangler(options, done);
  const proxy = await startTcpServer((client) => {
    const server = connectBehind(client, options.target);
    client.on('data', (chunk) => server.write(chunk));
    server.on('data', (chunk) => client.write(mangle(chunk as Buffer)));
  });
  return extend(proxy, { done });
}

function createMangler(
  { random, share, insertions }: ManglingProxyOptions,
  done: Map<string, number>,
): (chunk: Buffer) => Buffer {
  const earlier: Buffer[] = [];
  const below = (end: number) => Math.floor(random() * end);
  const insert = (chunk: Buffer, bytes: Buffer, at = below(chunk.length + 1)) =>
    Buffer.concat([chunk.subarray(0, at), bytes, chunk.subarray(at)]);
  /** The start of a line: what is inserted there may look like an answer. */
  const lineStart = (chunk: Buffer) => chunk.indexOf('\n', below(chunk.length)) + 1;
  const changes: Readonly<Record<string, (chunk: Buffer) => Buffer>> = {
    random: (chunk) =>
      insert(chunk, Buffer.from(Array.from({ length: 1 + below(20) }, () => below(256)))),
    flip(chunk) {
      const copy = Buffer.from(chunk);
      const at = below(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << below(8));
      return copy;
    },
    cut(chunk) {
      const at = below(chunk.length);
      return Buffer.concat([chunk.subarray(0, at), chunk.subarray(at + 1 + below(20))]);
    },
    double: (chunk) => Buffer.concat([chunk, chunk]),
    doublePart(chunk) {
      const [start, end] = [lineStart(chunk), lineStart(chunk)].sort((one, other) => one - other);
      return insert(chunk, chunk.subarray(start, end), lineStart(chunk));
    },
    drop: () => Buffer.alloc(0),
    earlier: (chunk) => insert(chunk, earlier[below(earlier.length)] ?? chunk, lineStart(chunk)),
    insertion: (chunk) =>
      insert(chunk, Buffer.from(insertions[below(insertions.length)] ?? ''), lineStart(chunk)),
    before: (chunk) => insert(chunk, Buffer.from(insertions[below(insertions.length)] ?? ''), 0),
    behind: (chunk) =>
      insert(chunk, Buffer.from(insertions[below(insertions.length)] ?? ''), chunk.length),
  };
  const names = Object.keys(changes);
  return (chunk) => {
    earlier[earlier.length < maxEarlier ? earlier.length : below(maxEarlier)] = chunk;
    const name = random() < share() ? (names[below(names.length)] ?? '') : '';
    if (name !== '') done.set(name, (done.get(name) ?? 0) + 1);
    return changes[name]?.(chunk) ?? chunk;
  };
}
