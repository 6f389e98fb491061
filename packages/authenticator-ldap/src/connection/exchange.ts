import type { Socket } from 'node:net';
import { bounded, explainTls, isTlsError, oneLine } from '@sallyport/plugin-options';
import { durationText } from '../deadlines.ts';
import { type Budget, createFramer, encodeUnbind } from './codec.ts';
import { decodeMessage, type Message } from './message.ts';
import { errorsOf, type MakeError, ServerError, type Step, WireError } from './server-error.ts';
import { peerOf } from './socket.ts';
import type { Server } from './types.ts';

/** Bytes of one answer, all its messages together, unless the request has a limit of its own. */
const maxAnswerBytes = 16 * 1024 * 1024;

/** BER elements of one answer, which is how many small objects it costs. An entry has five, each value one more. */
const maxAnswerElements = 250_000;

/** A notice that comes without a request is one LDAPResult. */
const maxNoticeElements = 100;

/** Milliseconds in which the last bytes of a closed connection must have left. */
const closeGrace = 1000;

interface Request<T> {
  readonly step: Step;
  encode(id: number): Buffer;
  /** Takes one message of the answer; returns the result with the last one. @throws WireError for what is no answer */
  accept(message: Message): T | undefined;
  /** The bytes hold a password: they are overwritten once they were sent. */
  readonly isSecret?: boolean;
  /** Of the whole answer. Left out: `maxAnswerBytes`. */
  readonly maxBytes?: number | undefined;
  /** Milliseconds until the last answer. Left out: that of the exchange. */
  readonly timeout?: number | undefined;
}

/** The current request. */
interface Operation {
  readonly id: number;
  readonly budget: Budget;
  readonly maxBytes: number;
  bytes: number;
  /** Returns what settles the operation when this was the last message of its answer. */
  accept(message: Message): (() => void) | undefined;
  fail(reason: unknown): void;
}

/** The timeout is in milliseconds, for one request until its last answer. */
type ExchangeOptions = { readonly server: Server; readonly timeout: number };

type CloseListener = (error?: Error) => void;

type State = ReturnType<typeof createState>;

function createState(socket: Socket, options: ExchangeOptions) {
  return {
    socket,
    options,
    framer: createFramer(),
    listeners: [] as CloseListener[],
    operation: undefined as Operation | undefined,
    /** Of the current operation, or of the last one. */
    step: 'connect' as Step,
    // 1 was StartTLS.
    lastId: 1,
    closed: undefined as { readonly error: ServerError | undefined } | undefined,
  };
}

export type Exchange = ReturnType<typeof createExchange>;

/**
 * Requests and their answers over one socket, one at a time. Nothing is queued: a request is written when it comes, or
 * not at all. Anything but the answer to it ends the connection, and so do the timeout and the signal.
 */
export function createExchange(socket: Socket, options: ExchangeOptions) {
  const state = createState(socket, options);
  socket.on('data', (chunk: Buffer) => read(state, chunk));
  socket.on('error', (error) => shut(state, explain(state, error)));
  const onEnd = () => shut(state, makeError(state, 'closed', 'the server closed the connection'));
  socket.on('end', onEnd).on('close', onEnd);
  if (socket.destroyed) onEnd();
  return {
    get isOpen() {
      return state.closed === undefined;
    },
    onClose(listener: CloseListener): void {
      if (state.closed) listener(state.closed.error);
      else state.listeners.push(listener);
    },
    run: <T>(request: Request<T>, signal: AbortSignal) => run(state, request, signal),
    close: () => close(state),
  };
}

async function run<T>(state: State, request: Request<T>, signal: AbortSignal): Promise<T> {
  const { step, encode, isSecret } = request;
  if (state.operation) throw new Error(`a ${step} was begun on a connection during a ${state.step}`);
  state.step = step;
  if (state.closed) throw makeError(state, 'closed', 'the connection was closed before', state.closed.error);
  if (signal.aborted) {
    shut(state, undefined);
    throw signal.reason;
  }
  state.lastId += 1;
  const bytes = encode(state.lastId);
  const result = answerTo(state, request, signal);
  state.socket.write(bytes, () => {
    if (isSecret) bytes.fill(0);
  });
  // Not awaited: what made the bytes, a password above all, is not needed while the answer is waited for.
  return result;
}

function answerTo<T>(state: State, request: Request<T>, signal: AbortSignal): Promise<T> {
  const { accept, maxBytes = maxAnswerBytes, timeout = state.options.timeout } = request;
  const late = () => {
    const missing = state.operation?.bytes === 0 ? 'no answer' : 'only a part of the answer';
    const error = makeError(state, 'timeout', `${missing} within ${durationText(timeout)}`);
    shut(state, error);
    return error;
  };
  const start = (resolve: (result: T) => void, fail: (reason: unknown) => void) => {
    state.operation = {
      id: state.lastId,
      budget: { elements: maxAnswerElements },
      maxBytes,
      bytes: 0,
      accept(message) {
        const result = accept(message);
        return result === undefined ? undefined : () => resolve(result);
      },
      fail,
    };
  };
  return bounded<T>({ signal, limit: timeout, late }, start, () => {
    state.operation = undefined;
    if (signal.aborted) shut(state, undefined);
  });
}

function close(state: State): void {
  const { socket } = state;
  if (state.closed) {
    socket.destroy();
    return;
  }
  if (state.operation) {
    shut(state, makeError(state, 'closed', 'the connection was closed here'));
    return;
  }
  end(state, undefined);
  socket.write(encodeUnbind(state.lastId + 1));
  socket.destroySoon();
  const timer = setTimeout(() => socket.destroy(), closeGrace);
  socket.once('close', () => clearTimeout(timer));
}

function read(state: State, chunk: Buffer): void {
  if (state.closed) return;
  try {
    readAnswer(state, chunk);
  } catch (error) {
    shut(state, explain(state, error));
  }
}

/** The result counts only if nothing came behind it: a second answer in the same bytes makes the first one doubtful. */
function readAnswer(state: State, chunk: Buffer): void {
  const { framer, operation } = state;
  const budget = operation?.budget ?? { elements: maxNoticeElements };
  if (operation) {
    operation.bytes += chunk.length;
    if (operation.bytes > operation.maxBytes) {
      throw new WireError('too-large', `the answer has more than ${operation.maxBytes} bytes`);
    }
  }
  let settle: (() => void) | undefined;
  for (const frame of framer.push(chunk)) {
    const message = decodeMessage(frame, budget);
    if (message.id === 0 && message.kind === 'extended') {
      settle?.();
      // The notice of disconnection (RFC 4511 section 4.4.1), or an unknown one, which is no better.
      const { code, diagnosticMessage: text } = message;
      const problem = `the server ended the connection with result code ${code}${text && `: ${oneLine(text)}`}`;
      throw makeError(state, 'closed', problem);
    }
    if (!operation || settle || message.id !== operation.id) {
      throw new WireError('protocol', `a message with the id ${message.id} came, which no request has`);
    }
    settle = operation.accept(message);
  }
  if ((settle || !operation) && framer.pending > 0) {
    throw new WireError('protocol', 'there were bytes behind the answer');
  }
  settle?.();
}

/** Closes at once. @param reason what the current operation throws */
function shut(state: State, error: ServerError | undefined, reason: unknown = error): void {
  state.socket.destroy();
  end(state, error, reason);
}

function end(state: State, error: ServerError | undefined, reason: unknown = error): void {
  if (state.closed) return;
  state.closed = { error };
  state.operation?.fail(reason);
  for (const listener of state.listeners.splice(0)) {
    try {
      listener(error);
    } catch {
      // The other listeners must still hear of the close, and no event handler may throw.
    }
  }
}

/** Any error that came while reading as a ServerError. */
function explain(state: State, error: unknown): ServerError {
  if (error instanceof ServerError) return error;
  if (error instanceof WireError) return makeError(state, error.kind, error.message, error);
  if (error instanceof Error && isTlsError(error)) {
    const { kind, problem } = explainTls(error, peerOf(state.options.server.host));
    return makeError(state, kind, problem, error);
  }
  return makeError(state, 'closed', `the connection broke (${oneLine(String(error))})`, error);
}

function makeError({ options, step }: State, ...rest: Parameters<MakeError>): ServerError {
  return errorsOf(options.server, step)(...rest);
}
