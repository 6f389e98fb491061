/** One piece of work with a signal of its own. */
interface Scope {
  readonly signal: AbortSignal;
  /** To be called when the work is over. Does not abort. */
  end(): void;
}

export interface Scopes {
  /** A scope that also ends with the caller's signal. */
  open(parent: AbortSignal): Scope;
  /** A scope that ends by itself after so many milliseconds, for work in the background: it keeps no process alive. */
  openFor(milliseconds: number, late: () => Error): Scope;
  /** Ends every scope that is open, and each that is opened from now on. */
  abort(reason: Error): void;
  readonly isEnded: boolean;
}

/**
 * `AbortSignal.any` would do the same with a signal that lives as long as the directory, and leave a trace of each
 * call on it.
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
