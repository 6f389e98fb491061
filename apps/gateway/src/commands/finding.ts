import type { WarningName } from '../config/acknowledgements.ts';
import {
  type ConfigProblem,
  describeError,
  onOneLine,
  type Problem,
  type ProblemWords,
  placed,
  SettingError,
} from '../config/problems.ts';

interface FindingText {
  /** What was looked at: `server certificate`, `authenticator corp`. Default: the name of the check. */
  readonly check?: string;
  /** What was found. */
  readonly detail: string;
  /** How to fix it. */
  readonly fix?: string | undefined;
  /** The same in parts, if it is about a place in the config. */
  readonly problem?: ConfigProblem;
  /** The value of the config that an error is about, until its line is added. */
  readonly setting?: Problem;
}

/** One row of what `check` prints. */
export type Finding = FindingText &
  (
    | { readonly result: 'ok' | 'error' }
    /** `name` is its name in `check.acknowledge`. */
    | { readonly result: 'warning'; readonly name: WarningName }
  );

export type Findings = readonly Finding[];

export type NamedFinding = Finding & { readonly check: string };

export function toError({ message, fix }: ProblemWords): Finding {
  return { result: 'error', detail: message, fix };
}

/** Makes the findings of a check that found one thing, and nothing wrong. */
export function ok(detail: string): Findings {
  return [{ result: 'ok', detail }];
}

/** Makes the findings of a check that found one thing, and warns of it. */
export function warning(name: WarningName, detail: string, fix?: string): Findings {
  return [{ result: 'warning', name, detail, fix }];
}

/** Returns an error about a place in the config. */
export function toPlacedError(problem: ConfigProblem): Finding {
  return { ...toError(placed(problem)), problem };
}

/** Returns a warning about a place in the config. */
export function toPlacedWarning(name: WarningName, problem: ConfigProblem): Finding {
  const { message: detail, fix } = placed(problem);
  return { result: 'warning', name, detail, fix, problem };
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
): Promise<readonly NamedFinding[]> {
  const nameFinding = (finding: Finding) => ({ check: name, ...finding });
  try {
    return (await run()).map(nameFinding);
  } catch (error) {
    const causes: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
    return causes.map((cause) =>
      nameFinding({
        ...toError(describeError(cause)),
        ...(cause instanceof SettingError && { setting: cause.setting }),
      }),
    );
  }
}
