import type { StandardSchemaV1 } from '@standard-schema/spec';
import { distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { printableLines } from '../base/logging/printable.ts';

/** The path of a value in the config: `['authenticators', 1, 'timeout']`. */
export type Path = readonly PropertyKey[];

/** What is wrong with one value, before its line in the file is known. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
  /** How to fix it: what to write or run instead. */
  readonly fix?: string | undefined;
  /** `key`: the problem is at the key, not at its value. */
  readonly at?: 'key';
}

/** The words of a problem: what is wrong, and how to fix it if that is known. */
export type ProblemWords = Pick<Problem, 'message' | 'fix'>;

/** A FixableError is an error that a person can fix. Its message is on one line; a terminal shows the fix on another line. */
export class FixableError extends Error {
  readonly problem: string;
  /** What to write or run instead. */
  readonly fix: string | undefined;

  constructor(problem: string, fix?: string, options?: ErrorOptions) {
    super(onOneLine({ message: problem, fix }), options);
    this.problem = problem;
    this.fix = fix;
  }
}

/** A SettingError is an error about one value of the config. Its message begins with the key; `locate` of the config adds the line. */
export class SettingError extends FixableError {
  readonly setting: Problem;

  constructor(setting: Problem, options?: ErrorOptions) {
    super(`${formatPath(setting.path)}: ${setting.message}`, setting.fix, options);
    this.setting = setting;
  }
}

/** A ConfigProblem is one problem of a config file. It quotes no secret. */
export interface ConfigProblem extends ProblemWords {
  /** The path of the file as it was given to `loadConfig`. */
  readonly file: string;
  /** It counts from 1. Left out: the problem has no line. */
  readonly line?: number;
  /** It counts from 1. */
  readonly column?: number;
  /** A path such as `authenticators[1].timeout`; empty for a problem of the file as a whole. */
  readonly path: string;
}

/** A ConfigError has everything that is wrong with a config file, for a terminal, and in a last line what to do meanwhile. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** The problems in the order of the file. Never empty. */
  readonly problems: readonly ConfigProblem[];
  /** Absolute paths of the files read on the way: a change in one of them is a reason to try again. */
  readonly files: readonly string[];

  constructor(problems: readonly ConfigProblem[], files: readonly string[], meanwhile?: string) {
    super(
      [
        ...problems.map((problem) => onTwoLines(placed(problem))),
        ...(meanwhile === undefined ? [] : [meanwhile]),
      ].join('\n'),
    );
    this.problems = problems;
    this.files = files;
  }
}

/** Adds the place: `gateway.yaml:12:5: authenticators[1].timeout: "3" has no unit`. Further lines of a message are indented. */
export function placed({ file, line, column, path, message, fix }: ConfigProblem): ProblemWords {
  const place = [file, line, column].filter((piece) => piece !== undefined).join(':');
  const text = [place, path, message].filter((piece) => piece !== '').join(': ');
  return { message: text.replaceAll('\n', '\n    '), fix };
}

/**
 * Writes a problem for a terminal: how to fix it is on another line. No text that the words quote can play tricks on the terminal, or
 * begin another such line: that one is indented more.
 */
export function onTwoLines({ message, fix }: ProblemWords): string {
  const text = printableLines(message.trimStart()).replaceAll(
    /\n(?: *(?=fix:)| ?(?! ))/g,
    '\n    ',
  );
  return fix === undefined
    ? text
    : `${text}\n  fix: ${printableLines(fix).replaceAll(/\n */g, '\n    ')}`;
}

/** Writes a problem for a field of the log or of JSON, or as a part of another message. */
export function onOneLine({ message, fix }: ProblemWords): string {
  return fix === undefined ? message : `${message}: ${fix}`;
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

/** Returns the text of a thrown value on one line, with the fix, as `describeError` does. */
export function describeCause(error: unknown): string {
  return onOneLine(describeError(error));
}

/**
 * Returns the words of a thrown value: the error's own message and fix. Where the message is empty, as when every address of
 * a host name refused, it returns the messages of the inner errors, else the code or the name. It never quotes a value that is
 * not an Error, since that may be a token, nor `cause` and other properties. The message is never empty, and this never throws.
 *
 * Secrets that a message quotes stay in it: the caller must withhold them.
 */
export function describeError(error: unknown): ProblemWords {
  try {
    if (error instanceof FixableError) return { message: error.problem, fix: error.fix };
    if (error instanceof Error) {
      const inner =
        error instanceof AggregateError
          ? error.errors.map(ownWords).filter((words) => words !== '')
          : [];
      const { name, code } = error as NodeJS.ErrnoException;
      const message =
        ownWords(error) || [...new Set(inner)].join('; ') || String(code || name || 'Error');
      return { message };
    }
  } catch {
    // Reading a property may throw: a plugin may throw a proxy, or an object with a getter.
  }
  return { message: 'something that is not an Error was thrown' };
}

/** Returns the text of each problem of a config, or of another thrown value, each on one line. */
export function describeCauses(error: unknown): readonly string[] {
  return error instanceof ConfigError
    ? error.problems.map((problem) => onOneLine(placed(problem)))
    : [describeCause(error)];
}

/** Makes an error of another one, with other words before the same fix. */
export function reworded(error: unknown, reword: (message: string) => string): FixableError {
  const { message, fix } = describeError(error);
  return new FixableError(reword(message), fix, { cause: error });
}

/** Makes a SettingError of an error of a value, with other words before the same fix. */
export function nameSetting(
  error: unknown,
  path: Path,
  reword: (message: string) => string = String,
): SettingError {
  const { message, fix } = describeError(error);
  return new SettingError({ path, message: reword(message), fix }, { cause: error });
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
export function overlaps(path: Path, otherPath: Path): boolean {
  const [short, long] = path.length <= otherPath.length ? [path, otherPath] : [otherPath, path];
  return short.every((step, index) => step === long[index]);
}

/** Whether a value is a map, which has keys. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Returns the candidate that a mistyped word most likely meant, or undefined when none is near. One slip in three letters is allowed, but no other letter in a word of three.
 * Only letters and digits count, and not their case; two swapped letters are one slip.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const simplify = (text: string) => text.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '');
  const plain = simplify(word);
  const near = candidates.flatMap((candidate) => {
    const simplified = simplify(candidate);
    const isSwapped = isSwap(plain, simplified);
    const slips = isSwapped ? 1 : distance(plain, simplified);
    const length = Math.min(plain.length, simplified.length);
    // `map` and `max` are different words of one length.
    const isShort = length === 3 && plain.length === simplified.length && !isSwapped;
    const allowed = isShort ? 0 : Math.max(1, Math.floor(length / 3));
    return slips <= allowed ? [{ candidate, slips }] : [];
  });
  return near.sort((a, b) => a.slips - b.slips)[0]?.candidate;
}

/** Proposes the candidate that was most likely meant. @param otherwise the fix if no candidate is near */
export function suggestNearest(
  word: string,
  candidates: readonly string[],
  otherwise: string,
): string {
  const near = nearest(word, candidates);
  return near === undefined ? otherwise : `did you mean ${near}?`;
}

/** Whether the words differ only by two neighbouring letters that are swapped. */
function isSwap(word: string, candidate: string): boolean {
  const index = [...word].findIndex((letter, index) => letter !== candidate[index]);
  if (index === -1 || word.length !== candidate.length) return false;
  return (
    word[index] === candidate[index + 1] &&
    word[index + 1] === candidate[index] &&
    word.slice(index + 2) === candidate.slice(index + 2)
  );
}

/** The words of operators for the types of zod. */
export const kinds: Readonly<Record<string, string>> = {
  object: 'keys and values',
  record: 'keys and values',
  array: 'a list',
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

/** The message of an issue that `wordIssue` words: a message of zod is one text, and a problem has its fix separately. */
const worded = 'worded by the gateway';

/** How to parse with zod so that `issueProblems` words its issues for an operator. */
export const wording = {
  error: (issue: z.core.$ZodRawIssue) => (wordIssue(issue) === undefined ? undefined : worded),
  reportInput: true,
};

/** Words zod's issues for an operator. Undefined: zod's own words are clear enough. */
function wordIssue(issue: z.core.$ZodRawIssue): ProblemWords | undefined {
  if (issue.input === undefined) return { message: 'is missing' };
  if (issue.input === null)
    return { message: 'is empty', fix: 'give it a value, or remove the key' };
  // The schema of keys says what is wrong with a key of a map.
  if (issue.code === 'invalid_key') return issue.issues.map(issueWords)[0];
  if (issue.code === 'invalid_type') {
    if (issue.expected === 'number' || issue.expected === 'int')
      return wordNumber(issue.expected, issue.input);
    const message = `must be ${kinds[issue.expected] ?? issue.expected}`;
    return { message, fix: writeKind[issue.expected]?.(issue.input) };
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const near = values.length > 1 ? nearest(String(issue.input), values) : undefined;
    // A long list would hide the rest of the message.
    const message =
      values.length > 12
        ? `${JSON.stringify(issue.input)} is not one of its ${values.length} values`
        : `must be ${values.join(' or ')}`;
    return { message, fix: near && `did you mean ${near}?` };
  }
  if (issue.code === 'too_small') return wordBound('at least', issue.origin, issue.minimum);
  if (issue.code === 'too_big') return wordBound('at most', issue.origin, issue.maximum);
  return undefined;
}

/**
 * Words a number of the wrong type. It may be quoted, since no number of the gateway's own keys is a secret. Digits as text were in quotes.
 */
function wordNumber(expected: string, input: unknown): ProblemWords {
  if (typeof input !== 'string' || input.length > 100)
    return { message: `must be ${kinds[expected]}, such as 3` };
  const plain = input.trim();
  const isNumber = plain !== '' && Number.isFinite(Number(plain));
  return {
    message: `${JSON.stringify(input)} is not ${kinds[expected]}`,
    fix: isNumber ? `write ${plain}, without quotes` : 'write one such as 3',
  };
}

/** Proposes how to write a value as another kind, by the kind of zod. */
const writeKind: Readonly<Record<string, (input: unknown) => string | undefined>> = {
  array: writeList,
  boolean: writeBoolean,
  string: (input) =>
    typeof input === 'object' ? 'write one value, without brackets or keys' : 'put it in quotes',
};

/** YAML 1.2 reads `yes` and `on` as text, other than the YAML of ten years ago. */
function writeBoolean(input: unknown): string {
  if (/^(true|yes|on|1)$/i.test(String(input))) return 'write true, without quotes';
  return /^(false|no|off|0)$/i.test(String(input))
    ? 'write false, without quotes'
    : 'write true or false alone';
}

/** Proposes how to write a list. Only values of keys that have no secret are quoted. */
function writeList(input: unknown): string {
  if (typeof input !== 'string' || input.length > 100) return 'begin each of its entries with "- "';
  const entries = input.split(/\s*,\s*/).filter((entry) => entry !== '');
  const texts = entries.map((entry) =>
    /^\w[\w:./-]*$/.test(entry) ? entry : JSON.stringify(entry),
  );
  return `write [${texts.join(', ')}]`;
}

function wordBound(bound: string, origin: string, limit: number | bigint): ProblemWords {
  const unit = { array: 'entries', string: 'characters' }[origin];
  if (unit === undefined) {
    const direction = bound === 'at least' ? 'more' : 'less';
    return { message: `must be ${bound} ${limit}`, fix: `write ${limit} or ${direction}` };
  }
  if (limit !== 1) return { message: `must have ${bound} ${limit} ${unit}` };
  const fix = origin === 'array' ? 'write at least one entry' : 'give it a value';
  return { message: 'must not be empty', fix };
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
  const isKnown = (issuePath: Path) =>
    reported.some(
      (problem) => problem.path.length === issuePath.length && overlaps(problem.path, issuePath),
    );
  return issues.flatMap((issue) => {
    const issuePath = [...path, ...steps(issue)];
    const fitting = listBranches(issue).filter((branch) => branch.every(isWithin));
    if (fitting.length === 1) return issueProblems(fitting.flat(), issuePath, reported);
    const isRepeated =
      issue.code === 'unrecognized_keys' &&
      issue.keys?.every((key) => isKnown([...issuePath, key]));
    if (isRepeated || isKnown(issuePath)) return [];
    const { message, fix } = issueWords(issue);
    const place = issue.params?.at;
    return [{ path: issuePath, message, fix, ...(place && { at: place }) }];
  });
}

function listBranches({ code, errors = [] }: Issue): readonly (readonly Issue[])[] {
  return code === 'invalid_union' ? errors : [];
}

/** Whether an issue of a branch of a union is about a part of the value. If so, the kind of the value fits the branch. */
function isWithin(issue: Issue): boolean {
  return steps(issue).length > 0 || issue.code === 'unrecognized_keys';
}

/** Returns the words for an issue. The branches of a union say more than the union, unless its schema has words. */
function issueWords(issue: Issue): ProblemWords {
  const { params: { problem, fix } = {}, message } = issue;
  if (problem !== undefined) return { message: problem, fix };
  if (message === worded) return wordIssue(issue as z.core.$ZodRawIssue) ?? { message };
  const branches = listBranches(issue).map((branch) => branch.map(withPath).join(', '));
  return {
    message: (message === 'Invalid input' && [...new Set(branches)].join('; or: ')) || message,
    fix,
  };
}

function withPath(issue: Issue): string {
  return [steps(issue).map(String).join('.'), onOneLine(issueWords(issue))]
    .filter((piece) => piece !== '')
    .join(': ');
}

function steps(issue: Issue): PropertyKey[] {
  return (issue.path ?? []).map((step) => (typeof step === 'object' ? step.key : step));
}
