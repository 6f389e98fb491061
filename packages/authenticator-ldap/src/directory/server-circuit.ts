import { createSuspects } from './suspects.ts';

/** What a server is used for: each may fail while the other works (a server that takes no new connections, say). */
export type Use = 'service' | 'user';

/** One call to a server, from its start. Each function does nothing when the circuit has changed since. */
interface CircuitCall {
  succeeded(): void;
  /**
   * @param mayBeSubject the server was reached, so that its silence may be about the subject
   * @returns `login`: the server answers others, so this is a matter of the call's subject and does not count
   */
  failed(reason: string, mayBeSubject?: boolean): 'server' | 'login';
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
  /**
   * Also while it is open: a success then closes it. Who asks only closed ones looks at `isOpen` before.
   *
   * @param subject whose login it is, where the server's work depends on that: the user of a bind, or of a group search
   */
  begin(use: Use, subject?: string): CircuitCall;
  /** For a probe that went well. On trial from then on: a probe sees less than a login needs, so the next fault opens it. */
  close(): void;
  /** What `onDoubt` asked for: whether the server was found well. */
  judge(isWell: boolean): void;
}

export interface CircuitDependencies {
  /** Faults in a row of one use after which it opens. */
  readonly failures: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly onOpen: (reason: string) => void;
  readonly onClose: () => void;
  /** So many faults, but of fewer subjects: the server is to be looked at, and `judge` to be called. */
  readonly onDoubt: () => void;
}

/** Faults in a row of one use. */
interface Row {
  count: number;
  /** Those of one subject are one; each without a subject stands for itself. */
  readonly origins: Set<unknown>;
}

/**
 * Whether a server is asked at all. Faults are counted for each use on its own, else searches on old connections would
 * hide for ever that every bind hangs.
 *
 * Somebody whose own logins hang the server (a password hash of a million rounds, a search through countless groups)
 * must not take it away from all: faults of one subject open it only when the server is found unwell, too.
 */
export function createServerCircuit({ failures, now, onOpen, onClose, onDoubt }: CircuitDependencies): ServerCircuit {
  const rows: Record<Use, Row> = { service: rowOf(0), user: rowOf(0) };
  const suspects = { service: createSuspects(now), user: createSuspects(now) };
  let isOpen = false;
  let lastFault: LastFault | undefined;
  // Tells a call that began before the last change from one of the present.
  let era = 0;

  const open = (reason: string) => {
    isOpen = true;
    era++;
    for (const each of Object.values(suspects)) each.clear();
    onOpen(reason);
  };
  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    era++;
    rows.service = rowOf(failures - 1);
    rows.user = rowOf(failures - 1);
    onClose();
  };
  const count = (use: Use, reason: string, subject: string | undefined) => {
    const row = rows[use];
    lastFault = { reason, at: now() };
    if (subject !== undefined) suspects[use].add(subject);
    countIn(row, subject);
    if (isOpen) return;
    if (row.origins.size >= failures) open(reason);
    else if (row.count >= failures) onDoubt();
  };
  return {
    close,
    judge(isWell) {
      if (isWell) for (const each of Object.values(suspects)) each.answered(undefined);
      else if (!isOpen && lastFault !== undefined) open(lastFault.reason);
    },
    get isOpen() {
      return isOpen;
    },
    get lastFault() {
      return lastFault;
    },
    begin(use, subject) {
      const begun = era;
      return {
        succeeded() {
          suspects[use].answered(subject);
          if (begun !== era) return;
          close();
          rows[use] = rowOf(0);
        },
        failed(reason, mayBeSubject = false) {
          const suspect = mayBeSubject ? subject : undefined;
          if (suspect !== undefined && suspects[use].isOnItsOwn(suspect)) return 'login';
          if (begun === era) count(use, reason, suspect);
          return 'server';
        },
      };
    },
  };
}

function rowOf(count: number): Row {
  return { count, origins: new Set(Array.from({ length: count }, Symbol)) };
}

function countIn(row: Row, subject: string | undefined): void {
  row.count++;
  row.origins.add(subject ?? Symbol());
}
