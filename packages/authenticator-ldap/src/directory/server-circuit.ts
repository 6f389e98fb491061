import { pause } from '../deadlines.ts';

/** What a server is used for: each may fail while the other works (a server that takes no new connections, say). */
export type Use = 'service' | 'user';

export type ServerCircuit = ReturnType<typeof createServerCircuit>;

interface CircuitDependencies {
  /** Consecutive failures of one use after which it opens. */
  readonly failures: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly onOpen: (reason: string) => void;
  readonly onClose: () => void;
}

/**
 * Whether a server is asked at all. Failures are counted for each use on its own, else searches on old connections would
 * hide for ever that no new one can be made.
 */
export function createServerCircuit({ failures, now, onOpen, onClose }: CircuitDependencies) {
  const consecutive: Record<Use, number> = { service: 0, user: 0 };
  let isOpen = false;
  let lastFailure: { readonly reason: string; readonly at: number } | undefined;
  // Distinguishes a call that began before the last change from a current one.
  let epoch = 0;

  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    epoch++;
    consecutive.service = failures - 1;
    consecutive.user = failures - 1;
    onClose();
  };
  return {
    /** After a successful probe. A probe sees less than a login needs, so the next failure opens the circuit again. */
    close,
    get isOpen() {
      return isOpen;
    },
    /** When is as `now`. Still there when the circuit has closed. */
    get lastFailure() {
      return lastFailure;
    },
    /** One call. Its functions do nothing if the circuit has changed since. A success closes an open circuit. */
    begin(use: Use) {
      const begun = epoch;
      return {
        succeeded(): void {
          if (begun !== epoch) return;
          close();
          consecutive[use] = 0;
        },
        failed(reason: string): void {
          if (begun !== epoch) return;
          lastFailure = { reason, at: now() };
          consecutive[use]++;
          if (isOpen || consecutive[use] < failures) return;
          isOpen = true;
          epoch++;
          onOpen(reason);
        },
      };
    },
  };
}

/** Finds out whether a server has recovered: one attempt at a time, which never throws, an interval apart. */
export function createProbe(interval: number, attempt: () => Promise<void>) {
  let stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();

  const run = async (signal: AbortSignal) => {
    for (;;) {
      await pause(interval, signal);
      if (signal.aborted) return;
      await attempt();
    }
  };
  return {
    /** The first attempt is made an interval later. */
    start(): void {
      stopping = new AbortController();
      const { signal } = stopping;
      running = running.then(() => run(signal));
    },
    stop: (): void => stopping.abort(),
    /** Fulfilled when the current attempt has ended. To be called after `stop`. */
    untilIdle: () => running,
  };
}
