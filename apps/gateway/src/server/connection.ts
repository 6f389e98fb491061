import { constants, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { ConnectionLimits } from './limits.ts';
import { http2Stream, type ServerAnswer, type ServerRequest } from './protocol.ts';
import { createResetCount } from './resets.ts';

/** A connection that can be asked to end. */
export interface Connection {
  /** A request came: counts until its answer is out, or given up. */
  begin(request: ServerRequest, answer: ServerAnswer): void;
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
 * HTTP/1.1 has no word for going: the end is announced by the last answer. A client that always has its next request
 * out before that does not stay: after the grace the next answer is the last, whatever else it has sent.
 */
export function http1Connection(socket: Socket, limits: Pick<ConnectionLimits, 'drainGrace' | 'linger'>): Connection {
  let pending = 0;
  let announced = false;
  let insistent = false;
  let ending = false;
  let newest: ServerRequest | undefined;
  const after = (milliseconds: number, act: () => void) => {
    const timer = setTimeout(act, milliseconds).unref();
    socket.once('close', () => clearTimeout(timer));
  };
  return {
    begin(request, answer) {
      newest = request;
      pending++;
      answer.once('close', () => {
        pending--;
        if (ending && pending === 0) socket.destroySoon();
      });
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
  const countReset = createResetCount(() => performance.now());
  const endWhenIdle = () => {
    if (session.closed || session.destroyed) return;
    session.close();
    const timer = setTimeout(() => session.destroy(), limits.linger).unref();
    session.once('close', () => clearTimeout(timer));
  };
  // A request that waits counts as idle here; closing lets it finish.
  session.setTimeout(limits.idleTimeout, endWhenIdle);
  return {
    // The session counts its streams itself, but for those that are reset.
    begin(request) {
      http2Stream(request)?.once('aborted', () => {
        if (!countReset()) session.destroy(tooManyResets(), constants.NGHTTP2_ENHANCE_YOUR_CALM);
      });
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
