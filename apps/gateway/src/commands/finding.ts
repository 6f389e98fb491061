import type { ConfigProblem } from '../config/problems.ts';

/** One line of what `check` prints. */
export interface Finding {
  /** What was looked at: `config`, `server certificate`, `authenticator corp`. */
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'fault';
  /** What was found, and how to fix it. */
  readonly detail: string;
  /** The same in parts, where it concerns a place in the config. */
  readonly problem?: ConfigProblem;
}
