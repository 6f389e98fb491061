import { constants, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { ConnectionLimits } from './limits.ts';
import { http2Stream, type ServerAnswer, type ServerRequest } from './protocol.ts';
import { createResetCount } from './resets.ts';

/** A connection that can be asked to end. */
export interface Connection {
  /**
   * A request came: counts until its answer is out, or given up.
   *
   * @returns false when it gets no answer: too many are under way
   */
  begin(request: ServerRequest, answer: ServerAnswer): boolean;
  /** Its client may not ask: from now on it gets few answers at a time. */
  restrict(): void;
  /**
   * Nothing more can be read from it. Requests that arrived whole still get their answers, then it ends.
   *
   * @returns false when the next answer would be that to what could not be read: it is the caller's to write
   */
  endUnread(): boolean;
  /** Whether the answer being written is to say that the connection ends. */
  isLastAnswer(): boolean;
  /** Tells the client to make its next requests elsewhere. A second call does nothing. */
  announceEnd(): void;
  /** Closes as soon as nothing is under way. */
  endWhenIdle(): void;
  destroy(): void;
  onClose(listener: () => void): void;
}

/**
 * Requests under way on a connection of HTTP/1.1: more end it. One read may hold 1,700 of them, which would keep all other
 * clients waiting. Go's client sends the next one after the answer.
 */
const mostPipelined = 64;

/** Requests under way of a client that may not ask, on either protocol. Any kubelet may be one. */
const mostRestricted = 4;

/**
 * HTTP/1.1 has no word for going: the end is announced by the last answer. A client that always has its next request
 * out before that does not stay: after the grace the next answer is the last, whatever else it has sent.
 */
export function http1Connection(socket: Socket, limits: Pick<ConnectionLimits, 'drainGrace' | 'linger'>): Connection {
  let pending = 0;
  let announced = false;
  let insistent = false;
  let ending = false;
  let most = mostPipelined;
  let newest: ServerRequest | undefined;
  const after = (milliseconds: number, act: () => void) => {
    const timer = setTimeout(act, milliseconds).unref();
    socket.once('close', () => clearTimeout(timer));
  };
  return {
    begin(request, answer) {
      if (pending >= most) {
        socket.destroy();
        return false;
      }
      newest = request;
      pending++;
      answer.once('close', () => {
        pending--;
        if (ending && pending === 0) socket.destroySoon();
      });
      return true;
    },
    restrict() {
      most = mostRestricted;
    },
    endUnread() {
      const isWhole = newest?.complete === true;
      if (pending === 0 || (pending === 1 && !isWhole)) return false;
      announced = true;
      ending = true;
      if (!isWhole) socket.destroy();
      return true;
    },
    // Pipelined requests are all answered: only the last of them may be followed by the end.
    isLastAnswer: () => announced && (pending === 1 || insistent),
    announceEnd() {
      if (announced) return;
      announced = true;
      after(limits.drainGrace, () => {
        insistent = true;
      });
    },
    endWhenIdle() {
      ending = true;
      if (pending === 0) socket.destroySoon();
      else after(limits.linger, () => socket.destroy());
    },
    destroy: () => socket.destroy(),
    onClose: (listener) => socket.once('close', listener),
  };
}

/** A stream id that excludes none: RFC 9113 section 6.8, graceful shutdown. */
const everyStream = 2 ** 31 - 1;

export function http2Connection(session: ServerHttp2Session, limits: ConnectionLimits): Connection {
  let announced = false;
  let pending = 0;
  let most = Number.POSITIVE_INFINITY;
  const countReset = createResetCount(() => performance.now());
  let over = false;
  const noteReset = () => {
    if (over || countReset()) return;
    over = true;
    // Not here, where Node's parser is still at work on this session: the process crashed at that (SIGSEGV).
    setImmediate(() => session.destroy(tooManyResets(), constants.NGHTTP2_ENHANCE_YOUR_CALM));
  };
  const endWhenIdle = () => {
    if (session.closed || session.destroyed) return;
    session.close();
    const timer = setTimeout(() => session.destroy(), limits.linger).unref();
    session.once('close', () => clearTimeout(timer));
  };
  // A request that waits counts as idle here; closing lets it finish.
  session.setTimeout(limits.idleTimeout, endWhenIdle);
  return {
    // The session limits its streams itself, but for those that are reset and those of a restricted client.
    begin(request, answer) {
      const stream = http2Stream(request);
      if (over || pending >= most) {
        request.on('error', () => undefined);
        // Go's client tries such a request again, and by then there may be room.
        stream?.close(constants.NGHTTP2_REFUSED_STREAM);
        noteReset();
        return false;
      }
      pending++;
      answer.once('close', () => pending--);
      stream?.once('aborted', noteReset);
      return true;
    },
    restrict() {
      most = mostRestricted;
    },
    endUnread: () => false,
    isLastAnswer: () => false,
    announceEnd() {
      if (announced || session.closed || session.destroyed) return;
      announced = true;
      session.goaway(0, everyStream);
    },
    endWhenIdle,
    destroy: () => session.destroy(),
    onClose: (listener) => session.once('close', listener),
  };
}

function tooManyResets(): Error {
  return Object.assign(new Error('the client reset too many requests'), { code: 'TOO_MANY_RESETS' });
}
