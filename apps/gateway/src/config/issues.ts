import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { z } from 'zod';
import { nearest } from './nearest.ts';
import { isSamePath, type Path, type Problem } from './problems.ts';

const kinds: Readonly<Record<string, string>> = {
  object: 'keys and values',
  record: 'keys and values',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
};

/** Words zod's issues for an operator. Undefined: zod's own words are good enough. */
export function wordIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined) return 'is missing';
  if (issue.input === null) return 'is empty: give it a value, or remove the key';
  if (issue.code === 'invalid_type') {
    const list = issue.expected === 'array' ? `: ${writeList(issue.input)}` : '';
    return `must be ${kinds[issue.expected] ?? issue.expected}${list}`;
  }
  if (issue.code === 'invalid_value') return wordChoice(issue.values.map(String), issue.input);
  if (issue.code === 'too_small') return wordBound('at least', issue.origin, issue.minimum);
  if (issue.code === 'too_big') return wordBound('at most', issue.origin, issue.maximum);
  return undefined;
}

/** Only values of keys that have no secret are quoted. */
function writeList(input: unknown): string {
  if (typeof input !== 'string' || input.length > 100) return 'begin each of its entries with "- "';
  return `write [${/^\w[\w:./-]*$/.test(input) ? input : JSON.stringify(input)}]`;
}

function wordChoice(values: readonly string[], input: unknown): string {
  const near = nearest(String(input), values);
  return `must be ${values.join(' or ')}${near === undefined || values.length === 1 ? '' : `: did you mean ${near}?`}`;
}

function wordBound(bound: string, origin: string, limit: number | bigint): string {
  if (origin === 'array') return limit === 1 ? 'must not be empty' : `must have ${bound} ${limit} entries`;
  if (origin !== 'string') return `must be ${bound} ${limit}`;
  return limit === 1 ? 'must not be empty' : `must have ${bound} ${limit} characters`;
}

/** What zod adds to an issue. Other libraries have none of it. */
interface ZodExtras {
  readonly code?: unknown;
  readonly keys?: readonly PropertyKey[];
  readonly errors?: readonly (readonly Issue[])[];
  readonly params?: { readonly problem?: string; readonly fix?: string };
}
type Issue = StandardSchemaV1.Issue & ZodExtras;

/**
 * A validator's issues as problems, without those that repeat what is known.
 *
 * @param path of the validated value in the config
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
    const { problem, fix } = issue.params ?? {};
    return [{ path: at, message: problem ?? issueMessage(issue), ...(fix !== undefined && { fix }) }];
  });
}

function isReported(issue: Issue, path: Path, reported: readonly Problem[]): boolean {
  const known = (one: Path) => reported.some((problem) => isSamePath(problem.path, one));
  if (issue.code === 'unrecognized_keys' && issue.keys) return issue.keys.every((key) => known([...path, key]));
  return known(path);
}

/** A union's own message is "Invalid input": what its branches say is more. */
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
