/**
 * A wait ends at its deadline, or when its signal is aborted. An answer that has arrived by the deadline is taken, even if this
 * process was too busy to read it.
 */
export interface WaitBounds {
  /** Milliseconds. Without it there is no deadline. */
  readonly limit?: number;
  /** Makes the error of the deadline. */
  readonly late?: () => unknown;
  readonly signal?: AbortSignal | undefined;
  /** Makes the error of an abort. Defaults to the signal's reason. */
  readonly aborted?: () => unknown;
}

/**
 * Makes a promise as `new Promise(start)` does. It rejects at the deadline or at the abort.
 *
 * @param start is not called when the signal is aborted already. The promise rejects with what it throws
 * @param onEnd is called once, in the same turn as what ends the wait; never when `start` was not called
 */
export function bounded<Value>(
  { limit, late, signal, aborted }: WaitBounds,
  start: (resolve: (value: Value) => void, reject: (error: unknown) => void) => void,
  onEnd?: () => void,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted ? aborted() : signal.reason);
      return;
    }
    let hasEnded = false;
    let timer: NodeJS.Timeout | undefined;
    let turn: NodeJS.Immediate | undefined;
    const end = () => {
      if (hasEnded) return false;
      hasEnded = true;
      clearTimeout(timer);
      clearImmediate(turn);
      signal?.removeEventListener('abort', onAbort);
      onEnd?.();
      return true;
    };
    const fail = (error: unknown) => {
      if (end()) reject(error);
    };
    const onAbort = () => fail(aborted ? aborted() : signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    // Node runs timers before it reads sockets. A process that was blocked first reads what has arrived.
    const onDeadline = () => {
      turn = setImmediate(() => fail(late?.()));
    };
    // A busy process may get here after the deadline, and Node warns of a negative delay.
    if (limit !== undefined) timer = setTimeout(onDeadline, Math.max(0, limit));
    try {
      start((value) => {
        if (end()) resolve(value);
      }, fail);
    } catch (error) {
      fail(error);
    }
  });
}

/**
 * Waits for `work`, but not beyond the bounds: it goes on then, and no one learns what comes of it. It is not called when the
 * signal is aborted already, so a promise that exists before needs its own `catch`.
 */
export function within<Value>(
  bounds: WaitBounds,
  work: () => Promise<Value> | Value,
): Promise<Value> {
  return bounded(bounds, (resolve, reject) => {
    (async () => work())().then(resolve, reject);
  });
}

/** Waits. @throws the reason of the signal when it is aborted */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout;
  return bounded<void>(
    { signal },
    (resolve) => {
      timer = setTimeout(resolve, milliseconds);
    },
    () => clearTimeout(timer),
  );
}
