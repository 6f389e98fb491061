import type { Socket } from 'node:net';
import { Redis } from 'ioredis';

// This replaces a private method of ioredis 6.0.0. The version is pinned, and a test fails when ioredis does not call it any more.

/** The private parts of ioredis' class. */
interface Connection {
  readonly stream: Socket;
  readonly options: { readonly socketTimeout?: number };
  readonly commandQueue: { readonly length: number };
  /** Undefined: no command waits for an answer. ioredis clears it when the connection is closed. */
  socketTimeoutTimer: NodeJS.Timeout | undefined;
}

/**
 * Closes a connection on which commands wait and nothing arrives for `socketTimeout`. ioredis closes it even if answers have
 * arrived that this process was too busy to read.
 */
function setSocketTimeout(this: Connection): void {
  const { stream } = this;
  const { socketTimeout } = this.options;
  const close = () => {
    if (this.socketTimeoutTimer !== timer) return;
    this.socketTimeoutTimer = undefined;
    stream.destroy(new Error(`Socket timeout: no data in ${socketTimeout}ms`));
  };
  // Node runs timers before it reads sockets.
  const timer = setTimeout(() => setImmediate(close), socketTimeout);
  this.socketTimeoutTimer = timer;
  // The listener that reads the answers is the first one, so the answered commands are not in the queue any more.
  stream.once('data', () => {
    clearTimeout(timer);
    this.socketTimeoutTimer = undefined;
    if (this.commandQueue.length > 0) setSocketTimeout.call(this);
  });
}

Object.assign(Redis.prototype, { setSocketTimeout });
