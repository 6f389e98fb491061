import { type ConfigProblem, causeOf } from '../config/problems.ts';

/** A Finding is one line of what `check` prints. */
export interface Finding {
  /** What was looked at: `config`, `server certificate`, `authenticator corp`. */
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'error';
  /** What was found, and how to fix it. */
  readonly detail: string;
  /** The same in parts, if it is about a place in the config. */
  readonly problem?: ConfigProblem;
}

/** Runs one check. What it throws becomes an error; each error of an AggregateError becomes one of its own. */
export async function tryOut(
  check: string,
  look: () => Promise<readonly Finding[]>,
  wording = (cause: string) => cause,
) {
  try {
    return await look();
  } catch (error) {
    const causes: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
    return causes.map(
      (cause): Finding => ({ check, result: 'error', detail: wording(causeOf(cause)) }),
    );
  }
}
