/** What a server is used for: each may fail while the other works (a server that takes no new connections, say). */
export type Use = 'service' | 'user';

/** One call to a server, from its start. Each function does nothing when the circuit has changed since. */
interface CircuitCall {
  succeeded(): void;
  failed(reason: string): void;
}

interface LastFailure {
  readonly reason: string;
  /** As `now`. */
  readonly at: number;
}

export interface ServerCircuit {
  readonly isOpen: boolean;
  /** Still there when the circuit has closed. */
  readonly lastFailure: LastFailure | undefined;
  /** Also while it is open: a success then closes it. */
  begin(use: Use): CircuitCall;
  /** After a successful probe. A probe sees less than a login needs, so the next failure opens the circuit again. */
  close(): void;
}

export interface CircuitDependencies {
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
export function createServerCircuit({ failures, now, onOpen, onClose }: CircuitDependencies): ServerCircuit {
  const consecutive: Record<Use, number> = { service: 0, user: 0 };
  let isOpen = false;
  let lastFailure: LastFailure | undefined;
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
    close,
    get isOpen() {
      return isOpen;
    },
    get lastFailure() {
      return lastFailure;
    },
    begin(use) {
      const begun = epoch;
      return {
        succeeded() {
          if (begun !== epoch) return;
          close();
          consecutive[use] = 0;
        },
        failed(reason) {
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

/** Finds out whether a server has recovered. */
export interface Probe {
  /** The first attempt is made an interval later. */
  start(): void;
  stop(): void;
  /** Fulfilled when the current attempt has ended. To be called after `stop`. */
  untilIdle(): Promise<void>;
}

/**
 * One attempt at a time, an interval from the end of one to the start of the next. The timer keeps no process alive.
 *
 * @param attempt never throws; when it found that the server has recovered, it has `stop` called
 */
export function createProbe(interval: number, attempt: () => Promise<void>): Probe {
  let isStarted = false;
  let timer: NodeJS.Timeout | undefined;
  let current: Promise<void> | undefined;

  const schedule = () => {
    timer = setTimeout(run, interval).unref();
  };
  const run = () => {
    current = attempt().finally(() => {
      current = undefined;
      if (isStarted) schedule();
    });
  };
  return {
    start() {
      isStarted = true;
      if (current === undefined) schedule();
    },
    stop() {
      isStarted = false;
      clearTimeout(timer);
    },
    async untilIdle() {
      await current;
    },
  };
}
