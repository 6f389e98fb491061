import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { requireRedirection, requireSlots } from './cluster-answers.ts';
import { ReplyScanner } from './reply-scanner.ts';
import { WireError } from './wire-error.ts';

// This fixes what is private in ioredis 6.0.0. The version is pinned, and a test checks that these parts exist.

/** The biggest answer: a revocation list of 10,000 entries under two sealing keys has some 10 MiB in 40,000 values. */
const limits = { bytes: 64 * 1024 * 1024, elements: 500_000 };

/** Bytes that came since all commands had their answers: those of one pipeline stay in memory until its last one comes. */
const mostUnread = 128 * 1024 * 1024;

interface Item {
  readonly command: { readonly name: string; readonly args: readonly unknown[] };
}

interface Client {
  readonly stream: Socket;
  readonly condition: { readonly subscriber: unknown } | null;
  readonly commandQueue: { readonly length: number; peekFront(): Item | undefined };
}

/** What it is made of, all of it private. */
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

/** Its own module, in which ioredis looks for the class each time that it has made a connection to whatever server. */
const ioredis = createRequire(import.meta.url)('ioredis/built/DataHandler.js') as { default: DataHandlerClass };

/**
 * Reads the answers on one connection. Whatever a server sends ends that connection at most: ioredis rethrows some of
 * what goes wrong where no caller can catch it (five bytes, a nil that no command asked for, ended the process), and goes
 * on after an answer too many, when each command gets the answer of the one before.
 */
class StrictDataHandler extends ioredis.default {
  readonly #stream: Socket;
  readonly #scanner = new ReplyScanner(limits);
  #unread = 0;

  constructor(redis: Client, options: unknown) {
    super(redis, options);
    this.#stream = redis.stream;
    // Theirs hear of the first error alone. A TLS socket that gets bad bytes amid a write has a second one (EPROTO).
    this.#stream.on('error', () => {});
    // Theirs is the first one, and has to be: it empties the queue that the others look at.
    const [decode] = this.#stream.listeners('data') as [(piece: Buffer) => void];
    this.#stream.prependListener('data', (piece: Buffer) => this.#read(piece, decode));
    this.#stream.off('data', decode);
  }

  #read(piece: Buffer, decode: (piece: Buffer) => void): void {
    try {
      this.#unread += piece.length;
      if (this.#unread > mostUnread) throw new WireError('an answer that is too big');
      this.#scanner.read(piece);
    } catch (error) {
      this.returnFatalError(error);
      return;
    }
    decode(piece);
  }

  /** What is thrown here leaves the decoder, which gives it to `returnFatalError` and reads nothing more. */
  override dispatch(work: () => void): void {
    work();
    if (this.redis.commandQueue.length === 0) this.#unread = 0;
  }

  override returnFatalError(error: unknown): void {
    this.#stream.destroy(error instanceof WireError ? error : new WireError('bytes that are not the Redis protocol'));
  }

  override returnReply(reply: unknown): void {
    const { command } = this.redis.commandQueue.peekFront() ?? {};
    if (command?.name === 'cluster' && String(command.args[0]).toLowerCase() === 'slots') requireSlots(reply);
    super.returnReply(reply);
  }

  override returnError(error: Error): void {
    requireRedirection(error.message);
    super.returnError(error);
  }

  /** Redis pushes to those that subscribe, which only what listens to sentinels does. */
  override returnPush(reply: unknown): void {
    const { command } = this.redis.commandQueue.peekFront() ?? {};
    const isWanted = Boolean(this.redis.condition?.subscriber) || command?.name === 'subscribe';
    if (!isWanted) throw new WireError('an answer that no command asked for');
    super.returnPush(reply);
  }

  override shiftCommand(reply: unknown): Item | null {
    if (this.redis.commandQueue.length === 0) throw new WireError('an answer that no command asked for');
    return super.shiftCommand(reply);
  }
}

ioredis.default = StrictDataHandler;
