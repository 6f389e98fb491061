import type { Socket } from 'node:net';
import { bounded, durationText, explainTls, isTlsError, oneLine } from '@sallyport/plugin-kit';
import { type Budget, createFramer, encodeUnbind } from './codec.ts';
import { decodeMessage, type Message } from './message.ts';
import { createErrors, type MakeError, ServerError, type Step, WireError } from './server-error.ts';
import { makePeer } from './socket.ts';
import type { Server } from './types.ts';

/** The limit in bytes for all messages of one answer, unless the operation has its own. */
const maxAnswerBytes = 16 * 1024 * 1024;

/**
 * The limit for the BER elements of one answer, each of which costs an object. An entry has five,
 * each value one more.
 */
const maxAnswerElements = 250_000;

/** The limit for the BER elements of a notice without a request, which is one LDAPResult. */
const maxNoticeElements = 100;

/** The milliseconds that a closed connection has to send its last bytes. */
const closeGrace = 1000;

/** One request, and how its answer is read. */
interface LdapOperation<T> {
  readonly step: Step;
  encode(id: number): Buffer;
  /**
   * Takes one message of the answer, and returns the result with the last one.
   *
   * @throws WireError for any other message
   */
  accept(message: Message): T | undefined;
  /** Whether the bytes contain a password, and are overwritten once they were sent. */
  readonly isSecret?: boolean;
  readonly maxBytes?: number | undefined;
  readonly timeout?: number | undefined;
}

interface CurrentOperation {
  readonly id: number;
  readonly budget: Budget;
  readonly maxBytes: number;
  bytes: number;
  /** Takes a message. With the last one of the answer it returns a function that settles the operation. */
  accept(message: Message): (() => void) | undefined;
  fail(reason: unknown): void;
}

/** The timeout is in milliseconds, from a request to the last message of its answer. */
type OperationsOptions = { readonly server: Server; readonly timeout: number };

type CloseListener = (error?: Error) => void;

type State = ReturnType<typeof createState>;

function createState(socket: Socket, options: OperationsOptions) {
  return {
    socket,
    options,
    framer: createFramer(),
    listeners: [] as CloseListener[],
    current: undefined as CurrentOperation | undefined,
    /** The step of the current operation, or of the last one. */
    step: 'connect' as Step,
    // StartTLS has used the id 1.
    lastId: 1,
    closed: undefined as { readonly error: ServerError | undefined } | undefined,
  };
}

export type Operations = ReturnType<typeof createOperations>;

/**
 * Runs LDAP operations over one socket, one at a time. Nothing is queued: a request is written when it comes, or not at
 * all. Anything but the answer to it ends the connection, and so do the timeout and the signal.
 */
export function createOperations(socket: Socket, options: OperationsOptions) {
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
    run: <T>(operation: LdapOperation<T>, signal: AbortSignal) => run(state, operation, signal),
    close: () => close(state),
  };
}

async function run<T>(state: State, operation: LdapOperation<T>, signal: AbortSignal): Promise<T> {
  const { step, encode, isSecret } = operation;
  if (state.current) throw new Error(`a ${step} was begun on a connection during a ${state.step}`);
  state.step = step;
  if (state.closed)
    throw makeError(state, 'closed', 'the connection was closed before', state.closed.error);
  if (signal.aborted) {
    shut(state, undefined);
    throw signal.reason;
  }
  state.lastId += 1;
  const bytes = encode(state.lastId);
  const result = answerTo(state, operation, signal);
  state.socket.write(bytes, () => {
    if (isSecret) bytes.fill(0);
  });
  // The result is not awaited: what made the bytes, a password above all, is not needed until the answer comes.
  return result;
}

function answerTo<T>(state: State, operation: LdapOperation<T>, signal: AbortSignal): Promise<T> {
  const { accept, maxBytes = maxAnswerBytes, timeout = state.options.timeout } = operation;
  const late = () => {
    const silence = state.current?.bytes === 0 ? 'no answer' : 'only a part of the answer';
    const error = makeError(state, 'timeout', `${silence} within ${durationText(timeout)}`);
    shut(state, error);
    return error;
  };
  const start = (resolve: (result: T) => void, fail: (reason: unknown) => void) => {
    state.current = {
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
    state.current = undefined;
    if (signal.aborted) shut(state, undefined);
  });
}

function close(state: State): void {
  const { socket } = state;
  if (state.closed) {
    socket.destroy();
    return;
  }
  if (state.current) {
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

/**
 * Reads a chunk. A result counts only if nothing follows it: a second answer in the same bytes
 * makes the first doubtful.
 */
function readAnswer(state: State, chunk: Buffer): void {
  const { framer, current } = state;
  const budget = current?.budget ?? { elements: maxNoticeElements };
  if (current) {
    current.bytes += chunk.length;
    if (current.bytes > current.maxBytes) {
      throw new WireError('too-large', `the answer has more than ${current.maxBytes} bytes`);
    }
  }
  let settle: (() => void) | undefined;
  for (const frame of framer.push(chunk)) {
    const message = decodeMessage(frame, budget);
    if (message.id === 0 && message.kind === 'extended') {
      settle?.();
      // This is the notice of disconnection (RFC 4511 section 4.4.1), or an unknown notice, which is no better.
      const { code, diagnosticMessage: text } = message;
      const problem = `the server ended the connection with result code ${code}${text && `: ${oneLine(text)}`}`;
      throw makeError(state, 'closed', problem);
    }
    if (!current || settle || message.id !== current.id) {
      throw new WireError(
        'protocol',
        `a message with the id ${message.id} came, which no request has`,
      );
    }
    settle = current.accept(message);
  }
  if ((settle || !current) && framer.pending > 0) {
    throw new WireError('protocol', 'there were bytes behind the answer');
  }
  settle?.();
}

/** Closes the socket immediately. @param reason what the current operation throws */
function shut(state: State, error: ServerError | undefined, reason: unknown = error): void {
  state.socket.destroy();
  end(state, error, reason);
}

function end(state: State, error: ServerError | undefined, reason: unknown = error): void {
  if (state.closed) return;
  state.closed = { error };
  state.current?.fail(reason);
  for (const listener of state.listeners.splice(0)) {
    try {
      listener(error);
    } catch {
      // The other listeners must still hear of the close, and no event handler may throw.
    }
  }
}

function explain(state: State, error: unknown): ServerError {
  if (error instanceof ServerError) return error;
  if (error instanceof WireError) return makeError(state, error.kind, error.message, error);
  if (error instanceof Error && isTlsError(error)) {
    const { kind, problem } = explainTls(error, makePeer(state.options.server.host));
    return makeError(state, kind, problem, error);
  }
  return makeError(state, 'closed', `the connection broke (${oneLine(String(error))})`, error);
}

function makeError({ options, step }: State, ...args: Parameters<MakeError>): ServerError {
  return createErrors(options.server, step)(...args);
}
