import type { StandardSchemaV1 } from '@standard-schema/spec';
import { distance } from 'fastest-levenshtein';
import type { z } from 'zod';

/** The path of a value in the config: `['authenticators', 1, 'timeout']`. */
export type Path = readonly PropertyKey[];

/** What is wrong with one value, before its line in the file is known. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
  /** How to fix it: what to write or run instead. */
  readonly fix?: string;
  /** `key`: the problem is at the key, not at its value. */
  readonly at?: 'key';
}

/** A ConfigProblem is one problem of a config file. It quotes no secret. */
export interface ConfigProblem extends Pick<Problem, 'message' | 'fix'> {
  /** The path of the file as it was given to `loadConfig`. */
  readonly file: string;
  /** It counts from 1. Left out: the problem has no line. */
  readonly line?: number;
  /** It counts from 1. */
  readonly column?: number;
  /** A path such as `authenticators[1].timeout`; empty for a problem of the file as a whole. */
  readonly path: string;
}

/** A ConfigError has everything that is wrong with a config file, one problem a line, and in a last line what to do meanwhile. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** The problems in the order of the file. Never empty. */
  readonly problems: readonly ConfigProblem[];
  /** Absolute paths of the files read on the way: a change in one of them is a reason to try again. */
  readonly files: readonly string[];

  constructor(problems: readonly ConfigProblem[], files: readonly string[], meanwhile?: string) {
    super(
      [...problems.map(formatProblem), ...(meanwhile === undefined ? [] : [meanwhile])].join('\n'),
    );
    this.problems = problems;
    this.files = files;
  }
}

/** Writes `gateway.yaml:12:5: authenticators[1].timeout: "3" has no unit: write 3s`. Further lines of a message are indented. */
export function formatProblem(problem: ConfigProblem): string {
  const place = [problem.file, problem.line, problem.column]
    .filter((part) => part !== undefined)
    .join(':');
  const text = [place, problem.path, problem.message, problem.fix].filter(
    (part) => part !== undefined && part !== '',
  );
  return text.join(': ').replaceAll('\n', '\n    ');
}

/** Writes a path such as `authenticators[1].options["a b"]`. */
export function formatPath(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`;
      const key = String(step);
      if (!/^[A-Za-z_$][\w$-]*$/.test(key)) return `[${JSON.stringify(key)}]`;
      return index === 0 ? key : `.${key}`;
    })
    .join('');
}

/**
 * Returns the text of a thrown value, for a message: the error's own message. Where that is empty, as when every address of
 * a host name refused, it returns the messages of the inner errors, else the code or the name. It never quotes a value that is
 * not an Error, since that may be a token, nor `cause` and other properties. The text is never empty, and this never throws.
 *
 * Secrets that a message quotes stay in it: the caller must withhold them.
 */
export function causeOf(error: unknown): string {
  try {
    if (error instanceof Error) {
      const inner =
        error instanceof AggregateError
          ? error.errors.map(ownWords).filter((words) => words !== '')
          : [];
      const { name, code } = error as NodeJS.ErrnoException;
      return ownWords(error) || [...new Set(inner)].join('; ') || String(code || name || 'Error');
    }
  } catch {
    // Reading a property may throw: a plugin may throw a proxy, or an object with a getter.
  }
  return 'something that is not an Error was thrown';
}

function ownWords(error: unknown): string {
  return error instanceof Error && typeof error.message === 'string' ? error.message.trim() : '';
}

/** Returns the value at a path, or undefined when there is none. */
export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, step) =>
      typeof inner === 'object' && inner !== null ? Reflect.get(inner, step) : undefined,
    value,
  );
}

/** Whether one path is the other, or leads to it. */
export function overlaps(one: Path, other: Path): boolean {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  return short.every((step, index) => step === long[index]);
}

/** Whether a value is a map, which has keys. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Returns the candidate that a mistyped word most likely meant, or undefined when none is near. One slip in three letters is allowed.
 * Case, dashes and underscores do not count; two swapped letters are one slip.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const simplify = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, '');
  const plain = simplify(word);
  const near = candidates.flatMap((candidate) => {
    const simplified = simplify(candidate);
    const slips = isSwap(plain, simplified) ? 1 : distance(plain, simplified);
    const allowed = Math.max(1, Math.floor(Math.min(plain.length, simplified.length) / 3));
    return slips <= allowed ? [{ candidate, slips }] : [];
  });
  return near.sort((one, other) => one.slips - other.slips)[0]?.candidate;
}

/** Whether the words differ only by two neighbouring letters that are swapped. */
function isSwap(one: string, other: string): boolean {
  const at = [...one].findIndex((letter, index) => letter !== other[index]);
  if (at === -1 || one.length !== other.length) return false;
  return (
    one[at] === other[at + 1] &&
    one[at + 1] === other[at] &&
    one.slice(at + 2) === other.slice(at + 2)
  );
}

/** The words of operators for the types of zod. */
export const kinds: Readonly<Record<string, string>> = {
  object: 'keys and values',
  record: 'keys and values',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
};

/** Words zod's issues for an operator. Undefined: zod's own words are clear enough. */
export function wordIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined) return 'is missing';
  if (issue.input === null) return 'is empty: give it a value, or remove the key';
  // The schema of keys says what is wrong with a key of a map.
  if (issue.code === 'invalid_key') return issue.issues[0]?.message;
  if (issue.code === 'invalid_type') {
    if (issue.expected === 'number' || issue.expected === 'int')
      return wordNumber(issue.expected, issue.input);
    const list = issue.expected === 'array' ? `: ${writeList(issue.input)}` : '';
    return `must be ${kinds[issue.expected] ?? issue.expected}${list}`;
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const near = values.length > 1 ? nearest(String(issue.input), values) : undefined;
    return `must be ${values.join(' or ')}${near === undefined ? '' : `: did you mean ${near}?`}`;
  }
  if (issue.code === 'too_small') return wordBound('at least', issue.origin, issue.minimum);
  if (issue.code === 'too_big') return wordBound('at most', issue.origin, issue.maximum);
  return undefined;
}

/**
 * Words a number of the wrong type. It may be quoted, since no number of the gateway's own keys is a secret. Digits as text were in quotes.
 */
function wordNumber(expected: string, input: unknown): string {
  if (typeof input !== 'string' || input.length > 100)
    return `must be ${kinds[expected]}, such as 3`;
  const plain = input.trim();
  const fix =
    plain !== '' && Number.isFinite(Number(plain)) ? `${plain}, without quotes` : 'one such as 3';
  return `${JSON.stringify(input)} is not ${kinds[expected]}: write ${fix}`;
}

/** Proposes how to write a list. Only values of keys that have no secret are quoted. */
function writeList(input: unknown): string {
  if (typeof input !== 'string' || input.length > 100) return 'begin each of its entries with "- "';
  return `write [${/^\w[\w:./-]*$/.test(input) ? input : JSON.stringify(input)}]`;
}

function wordBound(bound: string, origin: string, limit: number | bigint): string {
  const unit = { array: 'entries', string: 'characters' }[origin];
  if (unit === undefined) return `must be ${bound} ${limit}`;
  if (limit !== 1) return `must have ${bound} ${limit} ${unit}`;
  return `must not be empty: ${origin === 'array' ? 'write at least one entry' : 'give it a value'}`;
}

/** An Issue is an issue of a Standard Schema, with what zod adds. */
interface Issue extends StandardSchemaV1.Issue {
  readonly code?: unknown;
  readonly keys?: readonly PropertyKey[];
  readonly errors?: readonly (readonly Issue[])[];
  readonly params?:
    | (Partial<Pick<Problem, 'fix' | 'at'>> & { readonly problem?: string })
    | undefined;
}

/** Makes problems of a validator's issues, without those that repeat reported ones: unknown keys, missing secrets. */
export function issueProblems(
  issues: readonly Issue[],
  path: Path,
  reported: readonly Problem[],
): Problem[] {
  const isKnown = (at: Path) =>
    reported.some((one) => one.path.length === at.length && overlaps(one.path, at));
  return issues.flatMap((issue) => {
    const at = [...path, ...steps(issue)];
    const fitting = branchesOf(issue).filter((branch) => branch.every(isWithin));
    if (fitting.length === 1) return issueProblems(fitting.flat(), at, reported);
    const isRepeated =
      issue.code === 'unrecognized_keys' && issue.keys?.every((key) => isKnown([...at, key]));
    if (isRepeated || isKnown(at)) return [];
    const { problem: message = issueMessage(issue), fix, at: place } = issue.params ?? {};
    return [{ path: at, message, ...(fix !== undefined && { fix }), ...(place && { at: place }) }];
  });
}

function branchesOf({ code, errors = [] }: Issue): readonly (readonly Issue[])[] {
  return code === 'invalid_union' ? errors : [];
}

/** Whether an issue of a branch of a union is about a part of the value. If so, the kind of the value fits the branch. */
function isWithin(issue: Issue): boolean {
  return steps(issue).length > 0 || issue.code === 'unrecognized_keys';
}

/** Returns the words for an issue. The branches of a union say more than the union, unless its schema has words of its own. */
function issueMessage(issue: Issue): string {
  const branches = branchesOf(issue).map((branch) => branch.map(withPath).join(', '));
  return (
    (issue.message === 'Invalid input' && [...new Set(branches)].join('; or: ')) || issue.message
  );
}

function withPath(issue: Issue): string {
  return [steps(issue).map(String).join('.'), issueMessage(issue)]
    .filter((part) => part !== '')
    .join(': ');
}

function steps(issue: Issue): PropertyKey[] {
  return (issue.path ?? []).map((step) => (typeof step === 'object' ? step.key : step));
}
