/** When to stop waiting. */
export interface Bounds {
  readonly signal?: AbortSignal;
  /** Milliseconds. */
  readonly timeout?: number;
  /** Makes what is thrown after `timeout`. */
  readonly late?: () => unknown;
}

/** How a wait ends. Only the first call counts. */
export interface Settle<T> {
  resolve(value: T): void;
  reject(reason: unknown): void;
}

/**
 * A promise that settles once: by `start`, at the timeout, or when the signal is aborted, whose reason it then throws.
 *
 * @param start begins the wait; the function that it returns is called at the end, to remove listeners
 */
export function withDeadline<T>(bounds: Bounds, start: (settle: Settle<T>) => () => void): Promise<T> {
  const { signal, timeout, late } = bounds;
  return new Promise<T>((resolve, reject) => {
    let cleanUp: (() => void) | undefined;
    let isOver = false;
    const finish = (settle: () => void) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      cleanUp?.();
      settle();
    };
    const fail = (reason: unknown) => finish(() => reject(reason));
    const onAbort = () => fail(signal?.reason);
    const timer = timeout === undefined ? undefined : setTimeout(() => fail(late?.()), timeout);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) return onAbort();
    try {
      cleanUp = start({ resolve: (value) => finish(() => resolve(value)), reject: fail });
    } catch (error) {
      fail(error);
    }
    if (isOver) cleanUp?.();
  });
}

/** Waits for work within bounds. The work itself goes on after them. */
export function within<T>(work: Promise<T>, bounds: Bounds): Promise<T> {
  // No one waits any more for work that fails after its bounds, or whose signal was aborted before.
  work.catch(() => {});
  return withDeadline<T>(bounds, ({ resolve, reject }) => {
    work.then(resolve, reject);
    return () => {};
  });
}

/** Ends early, and does not throw, when the signal is aborted. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (milliseconds <= 0) return;
  const elapsed = withDeadline<void>({ signal }, ({ resolve }) => {
    const timer = setTimeout(resolve, milliseconds);
    return () => clearTimeout(timer);
  });
  await elapsed.catch(() => {});
}

/** One piece of work with a signal of its own. */
interface Scope {
  readonly signal: AbortSignal;
  /** To be called when the work is over. It does not abort the signal. */
  end(): void;
}

export interface Scopes {
  /** A scope that also ends with the caller's signal. */
  open(parent: AbortSignal): Scope;
  /** A scope that ends by itself, for work in the background. Its timer keeps no process alive. */
  openFor(milliseconds: number, late: () => Error): Scope;
  /** Ends every scope that is open, and each that is opened from now on. */
  abort(reason: Error): void;
  readonly isEnded: boolean;
}

/**
 * `AbortSignal.any` with a signal that lives as long as the directory would do the same, but each call would leave a
 * trace on that signal.
 */
export function createScopes(): Scopes {
  const controllers = new Set<AbortController>();
  let ended: Error | undefined;

  const track = (controller: AbortController, stop: () => void): Scope => {
    if (ended !== undefined) controller.abort(ended);
    controllers.add(controller);
    const end = () => {
      controllers.delete(controller);
      stop();
    };
    return { signal: controller.signal, end };
  };
  return {
    get isEnded() {
      return ended !== undefined;
    },
    open(parent) {
      const controller = new AbortController();
      const follow = () => controller.abort(parent.reason);
      if (parent.aborted) follow();
      else parent.addEventListener('abort', follow, { once: true });
      return track(controller, () => parent.removeEventListener('abort', follow));
    },
    openFor(milliseconds, late) {
      const controller = new AbortController();
      const timer = setTimeout(() => controller.abort(late()), milliseconds);
      timer.unref();
      return track(controller, () => clearTimeout(timer));
    },
    abort(reason) {
      ended = reason;
      for (const controller of controllers) controller.abort(reason);
    },
  };
}

/** For messages, as options write it: `300ms`, `12s`. From 2 minutes on it is rounded to `4m`, from 2 hours on to `3h`. */
export function durationText(milliseconds: number): string {
  if (milliseconds >= 7_200_000) return `${Math.round(milliseconds / 3_600_000)}h`;
  if (milliseconds >= 120_000) return `${Math.round(milliseconds / 60_000)}m`;
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${Math.round(milliseconds)}ms`;
}

/** For messages: how long ago something was. */
export function ageText(milliseconds: number): string {
  return milliseconds < 1000 ? 'just now' : `${durationText(Math.round(milliseconds / 1000) * 1000)} ago`;
}
