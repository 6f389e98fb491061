import type { ConfigProblem } from '../config/types.ts';

/** A line of what `check` tells. */
export interface Finding {
  /** What was looked at: `config`, `server certificate`, `authenticator corp`. */
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'fault';
  /** What was found, and on a fault the mend. */
  readonly detail: string;
  /** The same in parts, where it concerns a place in the config. */
  readonly problem?: ConfigProblem;
}

export function fault(name: string, detail: string): Finding {
  return { check: name, result: 'fault', detail };
}
