import type { Socket } from 'node:net';
import { explainTls, isTlsError, oneLine } from '@sallyport/plugin-options';
import { type Budget, encodeUnbind } from './codec.ts';
import { createFramer } from './frames.ts';
import { decodeMessage, type Message } from './message.ts';
import { type FaultKind, ServerFault, type Step } from './server-fault.ts';
import { faultsOf, seconds } from './step.ts';
import { peerOf } from './tls-peer.ts';
import type { Server } from './types.ts';
import { WireError } from './wire-error.ts';

/** Bytes of one answer, all its messages together, unless the request has a bound of its own. */
const maxAnswerBytes = 16 * 1024 * 1024;

/** BER elements of one answer, which is how many small objects it costs. An entry has five, each value one more. */
const maxAnswerElements = 250_000;

/** A notice that comes while nothing is asked is one LDAPResult. */
const maxNoticeElements = 100;

/** Milliseconds in which the last bytes of a closed connection must have left. */
const closeGrace = 1000;

export interface Request<T> {
  readonly step: Step;
  encode(id: number): Buffer;
  /** Takes one message of the answer; gives the result with the last one. Throws WireError for what is no answer. */
  accept(message: Message): T | undefined;
  /** The bytes hold a password: they are overwritten once they went out. */
  readonly isSecret?: boolean;
  /** Of the whole answer. Left out: `maxAnswerBytes`. */
  readonly maxBytes?: number;
  /** Milliseconds until the last answer. Left out: that of the exchange. */
  readonly timeout?: number;
}

/** The request that is under way. */
interface Operation {
  readonly id: number;
  readonly step: Step;
  readonly budget: Budget;
  readonly maxBytes: number;
  bytes: number;
  /** Gives what settles the operation when this was the last message of its answer. */
  accept(message: Message): (() => void) | undefined;
  fail(reason: unknown): void;
}

export interface ExchangeOptions {
  readonly server: Server;
  /** Milliseconds for one request until its last answer. */
  readonly timeout: number;
}

/**
 * Requests and their answers over one socket, one at a time. Nothing is queued: a request is written when it comes, or
 * not at all. Whatever is not the answer to it ends the connection, and so do the timer and the signal.
 */
export class Exchange {
  readonly #socket: Socket;
  readonly #options: ExchangeOptions;
  readonly #framer = createFramer();
  readonly #listeners: ((fault?: Error) => void)[] = [];
  #operation: Operation | undefined;
  /** Of the operation under way, or of the last one. */
  #step: Step = 'connect';
  /** 1 was StartTLS. */
  #lastId = 1;
  #closed: { readonly fault: Error | undefined } | undefined;

  /** @param socket connected, encrypted if it is to be */
  constructor(socket: Socket, options: ExchangeOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => this.#shut(this.#explain(error)));
    const onEnd = () => this.#shut(this.#fault('closed', 'the server closed the connection'));
    socket.on('end', onEnd).on('close', onEnd);
    if (socket.destroyed) {
      onEnd();
    }
  }

  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  onClose(listener: (fault?: Error) => void): void {
    if (this.#closed) {
      listener(this.#closed.fault);
    } else {
      this.#listeners.push(listener);
    }
  }

  /** @throws as Connection's methods */
  async run<T>(request: Request<T>, signal: AbortSignal): Promise<T> {
    const { step, encode, isSecret } = request;
    if (this.#operation) {
      throw new Error(`a ${step} was begun on a connection whose ${this.#step} is under way`);
    }
    this.#step = step;
    if (this.#closed) {
      throw this.#fault('closed', 'the connection was closed before', this.#closed.fault);
    }
    if (signal.aborted) {
      this.#shut(undefined);
      throw signal.reason;
    }
    this.#lastId += 1;
    const bytes = encode(this.#lastId);
    const result = this.#wait(request, signal);
    this.#socket.write(bytes, () => {
      if (isSecret) {
        bytes.fill(0);
      }
    });
    // Not awaited: what made the bytes, a password above all, is not needed while the answer is waited for.
    return result;
  }

  close(): void {
    if (this.#operation || this.#closed) {
      this.#shut(this.#closed ? undefined : this.#fault('closed', 'the connection was closed here'));
      return;
    }
    this.#end(undefined);
    this.#socket.write(encodeUnbind(this.#lastId + 1));
    this.#socket.destroySoon();
    const timer = setTimeout(() => this.#socket.destroy(), closeGrace);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #wait<T>(
    { accept, maxBytes = maxAnswerBytes, timeout = this.#options.timeout }: Request<T>,
    signal: AbortSignal,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#operation = undefined;
      };
      const onAbort = () => this.#shut(undefined, signal.reason);
      const timer = setTimeout(() => this.#shut(this.#late(operation, timeout)), timeout);
      signal.addEventListener('abort', onAbort);
      const operation: Operation = {
        id: this.#lastId,
        step: this.#step,
        budget: { elements: maxAnswerElements },
        maxBytes,
        bytes: 0,
        accept(message) {
          const result = accept(message);
          return result === undefined
            ? undefined
            : () => {
                stop();
                resolve(result);
              };
        },
        fail(reason) {
          stop();
          reject(reason);
        },
      };
      this.#operation = operation;
    });
  }

  #read(chunk: Buffer): void {
    if (this.#closed) {
      return;
    }
    try {
      this.#take(chunk, this.#operation);
    } catch (error) {
      this.#shut(this.#explain(error));
    }
  }

  /** The result counts only if nothing came behind it: a second answer in the same bytes makes the first one doubtful. */
  #take(chunk: Buffer, operation: Operation | undefined): void {
    const budget = operation?.budget ?? { elements: maxNoticeElements };
    if (operation) {
      operation.bytes += chunk.length;
      if (operation.bytes > operation.maxBytes) {
        throw new WireError('too-large', `the answer has more than ${operation.maxBytes} bytes`);
      }
    }
    let settle: (() => void) | undefined;
    for (const frame of this.#framer.push(chunk)) {
      const message = decodeMessage(frame, budget);
      if (message.id === 0 && message.kind === 'extended') {
        settle?.();
        throw this.#notice(message);
      }
      if (!operation || settle || message.id !== operation.id) {
        throw new WireError('protocol', `a message with the id ${message.id} came, to which nothing was asked`);
      }
      settle = operation.accept(message);
    }
    if ((settle || !operation) && this.#framer.pending > 0) {
      throw new WireError('protocol', 'there were bytes behind the answer');
    }
    settle?.();
  }

  /** Closes at once, by a fault or by what the operation under way is to throw. */
  #shut(fault: ServerFault | undefined, reason: unknown = fault): void {
    this.#socket.destroy();
    this.#end(fault, reason);
  }

  #end(fault: ServerFault | undefined, reason: unknown = fault): void {
    if (this.#closed) {
      return;
    }
    this.#closed = { fault };
    this.#operation?.fail(reason);
    for (const listener of this.#listeners.splice(0)) {
      try {
        listener(fault);
      } catch {
        // A listener's failure is its own: the rest must still hear of the close, and no event handler may throw.
      }
    }
  }

  /** Any error that came while reading as a fault. */
  #explain(error: unknown): ServerFault {
    if (error instanceof ServerFault) {
      return error;
    }
    if (error instanceof WireError) {
      return this.#fault(error.kind, error.message, error);
    }
    if (error instanceof Error && isTlsError(error)) {
      const { kind, problem } = explainTls(error, peerOf(this.#options.server.host));
      return this.#fault(kind, problem, error);
    }
    return this.#fault('closed', `the connection broke (${oneLine(String(error))})`, error);
  }

  #late({ bytes }: Operation, timeout: number): ServerFault {
    const missing = bytes === 0 ? 'no answer' : 'only a part of the answer';
    return this.#fault('timeout', `${missing} within ${seconds(timeout)}`);
  }

  /** The notice of disconnection (RFC 4511 section 4.4.1), or an unknown one, which is no better. */
  #notice({ code, diagnosticMessage }: Extract<Message, { kind: 'extended' }>): ServerFault {
    const text = diagnosticMessage === '' ? '' : `: ${oneLine(diagnosticMessage)}`;
    return this.#fault('closed', `the server ended the connection with result code ${code}${text}`);
  }

  #fault(kind: FaultKind, problem: string, cause?: unknown): ServerFault {
    return faultsOf(this.#options.server, this.#step)(kind, problem, cause);
  }
}
