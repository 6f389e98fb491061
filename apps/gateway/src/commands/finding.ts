import {
  type ConfigProblem,
  onOneLine,
  type ProblemWords,
  reworded,
  wordsOf,
} from '../config/problems.ts';

/** One row of what `check` prints. */
export interface Finding {
  /** What was looked at: `config`, `server certificate`, `authenticator corp`. */
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'error';
  /** What was found. */
  readonly detail: string;
  /** How to fix it. */
  readonly fix?: string | undefined;
  /** The same in parts, if it is about a place in the config. */
  readonly problem?: ConfigProblem;
}

/** Returns the words of a problem as a finding has them. */
export function detailOf({ message, fix }: ProblemWords): Pick<Finding, 'detail' | 'fix'> {
  return { detail: message, fix };
}

/** Returns what was found and how to fix it on one line, as the JSON of a finding has it. */
export function wholeDetail({ detail, fix }: Pick<Finding, 'detail' | 'fix'>): string {
  return onOneLine({ message: detail, fix });
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
      (cause): Finding => ({
        check,
        result: 'error',
        ...detailOf(wordsOf(reworded(cause, wording))),
      }),
    );
  }
}
