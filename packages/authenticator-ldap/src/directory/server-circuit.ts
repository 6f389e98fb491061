import { delay } from '../waiting.ts';

/** What a server is used for. One use may fail while the other works: a server may take no new connections. */
export type Use = 'service' | 'user';

export type ServerCircuit = ReturnType<typeof createServerCircuit>;

interface CircuitDependencies {
  readonly failures: number;
  readonly now: () => number;
  readonly onOpen: (reason: string) => void;
  readonly onClose: () => void;
}

/**
 * Creates the circuit that decides whether a server is asked at all. It counts the failures of each
 * use separately: else searches on old connections would hide forever that no new one can be made.
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
    /**
     * Is called after a successful probe. A probe sees less than a login needs, so the next failure
     * opens the circuit again.
     */
    close,
    get isOpen() {
      return isOpen;
    },
    /** The last failure, at a time of `now`, even after the circuit has closed. */
    get lastFailure() {
      return lastFailure;
    },
    /** Begins a call. Its functions do nothing if the circuit has changed since. A success closes an open circuit. */
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

/** Creates a probe that makes one attempt at a time, an interval apart. @param attempt never throws */
export function createProbe(interval: number, attempt: () => Promise<void>) {
  let stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();

  const run = async (signal: AbortSignal) => {
    for (;;) {
      await delay(interval, signal);
      if (signal.aborted) return;
      await attempt();
    }
  };
  return {
    /** Starts the probe. The first attempt is made an interval later. */
    start(): void {
      stopping = new AbortController();
      const { signal } = stopping;
      running = running.then(() => run(signal));
    },
    stop: (): void => stopping.abort(),
    /** Waits for the end of the current attempt. It is called after `stop`. */
    untilIdle: () => running,
  };
}
