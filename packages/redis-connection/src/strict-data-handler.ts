import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { noteAccepted } from './nodes.ts';
import { WireError } from './problems.ts';
import { createReplyScanner } from './reply-scanner.ts';

// This replaces private parts of ioredis 6.0.0. The version is pinned, and a test checks that they exist.

/** The largest answer is a revocation list of 10,000 entries under two sealing keys: 10 MiB in 40,000 values. */
const limits = { bytes: 64 * 1024 * 1024, elements: 500_000 };

/** Bytes that may come before all commands have their answers. The answers of a pipeline stay in memory until its last one. */
const maxPendingBytes = 128 * 1024 * 1024;

interface Item {
  readonly command: { readonly name: string; readonly args: readonly unknown[] };
}

interface Client {
  readonly stream: Socket;
  readonly condition: { readonly subscriber: unknown } | null;
  readonly commandQueue: { readonly length: number; peekFront(): Item | undefined };
}

/** The private parts of ioredis' class. */
interface DataHandler {
  readonly redis: Client;
  dispatch(work: () => void): void;
  returnReply(reply: unknown): void;
  returnError(error: Error): void;
  returnPush(reply: unknown): void;
  returnFatalError(error: unknown): void;
  shiftCommand(reply: unknown): Item | null;
}

type DataHandlerClass = new (redis: Client, options: unknown) => DataHandler;

const require = createRequire(import.meta.url);

/** ioredis takes the class from this module for each new connection. */
const ioredis = require('ioredis/built/DataHandler.js') as { default: DataHandlerClass };

interface Connector {
  connect(reportError: unknown): Promise<Socket>;
}

/** The classes that make the connections to a server, a node and a sentinel, and to the master that sentinels name. */
const connectors = require('ioredis/built/connectors/index.js') as Record<
  'StandaloneConnector' | 'SentinelConnector',
  { readonly prototype: Connector }
>;

/**
 * Reads the answers on one connection. Bad answers of a server only end that connection. ioredis throws some errors where
 * no caller can catch them (five bytes, a nil that no command asked for, ended the process). It also goes on after an
 * unrequested answer, and then each command gets the answer of the one before.
 */
class StrictDataHandler extends ioredis.default {
  readonly #stream: Socket;
  readonly #check = createReplyScanner(limits);
  #pendingBytes = 0;

  constructor(redis: Client, options: unknown) {
    super(redis, options);
    this.#stream = redis.stream;
    // The decoder is ioredis' first listener and must stay first: it empties the queue that the others read.
    const [decode] = this.#stream.listeners('data') as [(piece: Buffer) => void];
    this.#stream.prependListener('data', (piece: Buffer) => this.#read(piece, decode));
    this.#stream.off('data', decode);
  }

  #read(piece: Buffer, decode: (piece: Buffer) => void): void {
    try {
      this.#pendingBytes += piece.length;
      if (this.#pendingBytes > maxPendingBytes) throw new WireError('an answer that is too big');
      this.#check(piece);
    } catch (error) {
      this.returnFatalError(error);
      return;
    }
    decode(piece);
  }

  /** The decoder passes an error that is thrown here to `returnFatalError`, and reads nothing more. */
  override dispatch(work: () => void): void {
    work();
    if (this.redis.commandQueue.length === 0) this.#pendingBytes = 0;
  }

  override returnFatalError(error: unknown): void {
    this.#stream.destroy(
      error instanceof WireError ? error : new WireError('bytes that are not the Redis protocol'),
    );
  }

  override returnReply(reply: unknown): void {
    const { command } = this.redis.commandQueue.peekFront() ?? {};
    if (command?.name === 'cluster' && String(command.args[0]).toLowerCase() === 'slots')
      requireSlots(reply);
    super.returnReply(reply);
  }

  override returnError(error: Error): void {
    requireRedirection(error.message);
    super.returnError(error);
  }

  /** Redis pushes to subscribers only, and only connections to sentinels subscribe. */
  override returnPush(reply: unknown): void {
    const { command } = this.redis.commandQueue.peekFront() ?? {};
    const isExpected = Boolean(this.redis.condition?.subscriber) || command?.name === 'subscribe';
    if (!isExpected) throw new WireError('an answer that no command asked for');
    super.returnPush(reply);
  }

  override shiftCommand(reply: unknown): Item | null {
    if (this.redis.commandQueue.length === 0)
      throw new WireError('an answer that no command asked for');
    return super.shiftCommand(reply);
  }
}

ioredis.default = StrictDataHandler;

// ioredis listens for one error of a socket only. A TLS socket can have a second one: when a handshake fails, or when it
// receives bad bytes during a write (EPROTO). Without a listener that error ends the process.
for (const { prototype } of [connectors.StandaloneConnector, connectors.SentinelConnector]) {
  const { connect } = prototype;
  prototype.connect = async function (reportError) {
    const socket = await connect.call(this, reportError);
    noteAccepted(socket);
    return socket.on('error', () => {});
  };
}

// ioredis 6.0.0 uses these answers of a cluster unchecked, in timers and callbacks, where an error ends the process.

/** https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
const lastSlot = 16_383;

/**
 * The maximum number of nodes in one answer. ioredis connects to all of them concurrently: 2,000 took 2,000 file
 * descriptors and blocked the process for seconds.
 */
const maxNodes = 256;

/** @param message of an error of Redis. @throws WireError for a redirection that can't be followed */
function requireRedirection(message: string): void {
  if (/^(MOVED|ASK)( |$)/.test(message) && !/^(MOVED|ASK) \d{1,5} \S*:\d{1,5}$/.test(message)) {
    throw new WireError('a redirection that names no node');
  }
}

/** @param reply to CLUSTER SLOTS. @throws WireError for a reply that no cluster sends */
export function requireSlots(reply: unknown): void {
  if (!Array.isArray(reply) || !reply.every(isRange))
    throw new WireError('slots that no cluster has');
  const nodes = new Set(
    reply.flatMap(([, , ...owners]) => owners.map(([host, port]: unknown[]) => `${host}:${port}`)),
  );
  if (nodes.size > maxNodes) throw new WireError('slots that no cluster has');
}

/** The first and the last slot of a range, then its nodes. */
function isRange(range: unknown): boolean {
  if (!Array.isArray(range)) return false;
  const [start, end, ...nodes] = range;
  return isUpTo(start, lastSlot) && isUpTo(end, lastSlot) && start <= end && nodes.every(isNode);
}

/** A host, null where the cluster does not know it, and a port; then values that ioredis does not read. */
function isNode(node: unknown): boolean {
  if (!Array.isArray(node)) return false;
  const [host, port] = node;
  return (host === null || Buffer.isBuffer(host)) && isUpTo(port, 65_535);
}

function isUpTo(value: unknown, max: number): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= max;
}
