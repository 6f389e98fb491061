/** What a server is used for: each may fail while the other works (a server that takes no new connections, say). */
export type Use = 'service' | 'user';

/** One call to a server, from its start. Each function does nothing when the circuit has changed since. */
interface CircuitCall {
  succeeded(): void;
  failed(reason: string): void;
}

interface LastFault {
  readonly reason: string;
  /** As `now`. */
  readonly at: number;
}

export interface ServerCircuit {
  readonly isOpen: boolean;
  /** Kept when the circuit closes. */
  readonly lastFault: LastFault | undefined;
  /** Also while it is open: a success then closes it. Who asks only closed ones looks at `isOpen` before. */
  begin(use: Use): CircuitCall;
  /** For a probe that went well. On trial from then on: a probe sees less than a login needs, so the next fault opens it. */
  close(): void;
}

export interface CircuitDependencies {
  /** Faults in a row of one use after which it opens. */
  readonly failures: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly onOpen: (reason: string) => void;
  readonly onClose: () => void;
}

/**
 * Whether a server is asked at all. Faults are counted for each use on its own, else searches on old connections would
 * hide for ever that no new one can be made.
 */
export function createServerCircuit({ failures, now, onOpen, onClose }: CircuitDependencies): ServerCircuit {
  const inARow: Record<Use, number> = { service: 0, user: 0 };
  let isOpen = false;
  let lastFault: LastFault | undefined;
  // Tells a call that began before the last change from one of the present.
  let era = 0;

  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    era++;
    inARow.service = failures - 1;
    inARow.user = failures - 1;
    onClose();
  };
  return {
    close,
    get isOpen() {
      return isOpen;
    },
    get lastFault() {
      return lastFault;
    },
    begin(use) {
      const begun = era;
      return {
        succeeded() {
          if (begun !== era) return;
          close();
          inARow[use] = 0;
        },
        failed(reason) {
          if (begun !== era) return;
          lastFault = { reason, at: now() };
          inARow[use]++;
          if (isOpen || inARow[use] < failures) return;
          isOpen = true;
          era++;
          onOpen(reason);
        },
      };
    },
  };
}
