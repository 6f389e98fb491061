/** The way to a value in the config: `['authenticators', 1, 'timeout']`. */
export type Path = readonly PropertyKey[];

/** What is wrong with one value, before it is known where in the file that is. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
  /** What to write or run instead. */
  readonly fix?: string;
  /** `key`: the place is that of the key, not of the value. */
  readonly at?: 'key';
}

/** One thing wrong with a config file. Holds no secret. */
export interface ConfigProblem {
  /** As it was given to `loadConfig`. */
  readonly file: string;
  /** From 1. Left out when the problem has no place in the file. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  /** Such as `authenticators[1].timeout`; empty when the problem is the file's as a whole. */
  readonly path: string;
  readonly message: string;
  readonly fix?: string;
}

/** Everything that is wrong with a config file, one problem a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** In the order of the file. Never empty. */
  readonly problems: readonly ConfigProblem[];
  /** Absolute paths of the files read on the way: a change in one of them is a reason to try again. */
  readonly files: readonly string[];

  constructor(problems: readonly ConfigProblem[], files: readonly string[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
    this.files = files;
  }
}

/** `gateway.yaml:12:5: authenticators[1].timeout: "3" has no unit: write 3s`. Further lines of a message are indented. */
export function formatProblem(problem: ConfigProblem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(':');
  const text = [place, problem.path, problem.message, problem.fix].filter((part) => part !== undefined && part !== '');
  return text.join(': ').replaceAll('\n', '\n    ');
}

/** `authenticators[1].options["a b"]`. */
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
 * What a plugin or a library threw, as text for a message: the error's own message. Where that is empty, as when every
 * address of a host name refused, what its inner errors say, else its code or its name. Of what is no Error nothing is
 * told, since it may be anything, a token too; nor are `cause` and other properties. Never empty, and never throws.
 *
 * Secrets that a message quotes stay in it: keeping them out is the caller's part.
 */
export function causeOf(error: unknown): string {
  try {
    if (!(error instanceof Error)) return noError;
    const inner = error instanceof AggregateError ? error.errors.map(ownWords).filter((words) => words !== '') : [];
    const { name, code } = error as NodeJS.ErrnoException;
    return ownWords(error) || [...new Set(inner)].join('; ') || String(code || name || 'Error');
  } catch {
    // Even to look at it may throw: a getter or a proxy of somebody else's.
    return noError;
  }
}

const noError = 'something that is no Error was thrown';

function ownWords(error: unknown): string {
  return error instanceof Error && typeof error.message === 'string' ? error.message.trim() : '';
}

/** The value at a path, or undefined when there is none. */
export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, step) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, step) : undefined),
    value,
  );
}

export function isSamePath(one: Path, other: Path): boolean {
  return one.length === other.length && one.every((step, index) => step === other[index]);
}

/** Whether one path is the other, or leads to it. */
export function overlaps(one: Path, other: Path): boolean {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  return short.every((step, index) => step === long[index]);
}
