import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Path, Problem } from './problems.ts';

/** What zod adds to an issue; of other libraries nothing of it is there. */
interface ZodExtras {
  readonly code?: unknown;
  readonly keys?: readonly PropertyKey[];
  readonly errors?: readonly (readonly Issue[])[];
  readonly params?: { readonly fix?: string };
}
type Issue = StandardSchemaV1.Issue & ZodExtras;

/**
 * A validator's issues as problems, without those that say again what is known.
 *
 * @param path where the validated value stands in the config
 * @param reported problems found before: unknown keys, secrets that are missing
 */
export function issueProblems(
  issues: readonly StandardSchemaV1.Issue[],
  path: Path,
  reported: readonly Problem[],
): Problem[] {
  return issues.flatMap((issue: Issue) => {
    const at = [...path, ...steps(issue)];
    if (isReported(issue, at, reported)) return [];
    const fix = issue.params?.fix;
    return [{ path: at, message: issueMessage(issue), ...(fix === undefined ? {} : { fix }) }];
  });
}

function isReported(issue: Issue, path: Path, reported: readonly Problem[]): boolean {
  const known = (wanted: Path) =>
    reported.some(
      (problem) => problem.path.length === wanted.length && problem.path.every((step, index) => step === wanted[index]),
    );
  if (issue.code === 'unrecognized_keys' && issue.keys) return issue.keys.every((key) => known([...path, key]));
  return known(path);
}

/** A union's own message is "Invalid input": what its branches say tells more. */
function issueMessage(issue: Issue): string {
  if (issue.code !== 'invalid_union' || !issue.errors?.length) return issue.message;
  const branches = issue.errors.map((branch) => branch.map(withPath).join(', '));
  return [...new Set(branches)].join('; or: ');
}

function withPath(issue: Issue): string {
  const path = steps(issue).map(String).join('.');
  return path === '' ? issueMessage(issue) : `${path}: ${issueMessage(issue)}`;
}

function steps(issue: StandardSchemaV1.Issue): PropertyKey[] {
  return (issue.path ?? []).map((step) => (typeof step === 'object' ? step.key : step));
}
