import {
  type ConfigProblem,
  describeError,
  onOneLine,
  type ProblemWords,
  placed,
  reworded,
} from '../config/problems.ts';

/** One row of what `check` prints. */
export interface Finding {
  /** What was looked at: `server certificate`, `authenticator corp`. Default: the name of the check. */
  readonly check?: string;
  readonly result: 'ok' | 'warning' | 'error';
  /** What was found. */
  readonly detail: string;
  /** How to fix it. */
  readonly fix?: string | undefined;
  /** The same in parts, if it is about a place in the config. */
  readonly problem?: ConfigProblem;
}

export type Findings = readonly Finding[];

export type NamedFinding = Finding & { readonly check: string };

export function toFinding(result: Finding['result'], { message, fix }: ProblemWords): Finding {
  return { result, detail: message, fix };
}

/** Makes the findings of a check that found one thing, and nothing wrong. */
export function ok(detail: string): Findings {
  return [{ result: 'ok', detail }];
}

/** Makes the findings of a check that found one thing, and warns of it. */
export function warning(detail: string, fix?: string): Findings {
  return [{ result: 'warning', detail, fix }];
}

/** Returns a finding about a place in the config. */
export function toPlacedFinding(result: Finding['result'], problem: ConfigProblem): Finding {
  return { ...toFinding(result, placed(problem)), problem };
}

/** Returns what was found and how to fix it on one line, as the JSON of a finding has it. */
export function wholeDetail({ detail, fix }: Pick<Finding, 'detail' | 'fix'>): string {
  return onOneLine({ message: detail, fix });
}

/**
 * Runs one check, and gives its name to its findings. An error that it throws is a finding; each error of an AggregateError is a
 * separate finding.
 */
export async function runCheck(
  name: string,
  run: () => Findings | Promise<Findings>,
  wording = (cause: string) => cause,
): Promise<readonly NamedFinding[]> {
  const nameFinding = (finding: Finding) => ({ check: name, ...finding });
  try {
    return (await run()).map(nameFinding);
  } catch (error) {
    const causes: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
    return causes.map((cause) =>
      nameFinding(toFinding('error', describeError(reworded(cause, wording)))),
    );
  }
}
