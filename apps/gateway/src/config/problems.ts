/** The path of a value in the config: `['authenticators', 1, 'timeout']`. */
export type Path = readonly PropertyKey[];

/** What is wrong with one value, before its line in the file is known. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
  /** How to fix it: what to write or run instead. */
  readonly fix?: string;
  /** `key`: the place is that of the key, not of the value. */
  readonly at?: 'key';
}

/** One problem of a config file. It has no secret. */
export interface ConfigProblem {
  /** As it was given to `loadConfig`. */
  readonly file: string;
  /** From 1. Left out when the problem has no line. */
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
 * Returns the text of a thrown value, for a message: the error's own message. Where that is empty, as when every address of
 * a host name refused, it returns the messages of the inner errors, else the code or the name. It never quotes a value that is
 * not an Error, since that may be a token, nor `cause` and other properties. The text is never empty, and this never throws.
 *
 * Secrets that a message quotes stay in it: the caller must withhold them.
 */
export function causeOf(error: unknown): string {
  try {
    if (!(error instanceof Error)) return noError;
    const inner = error instanceof AggregateError ? error.errors.map(ownWords).filter((words) => words !== '') : [];
    const { name, code } = error as NodeJS.ErrnoException;
    return ownWords(error) || [...new Set(inner)].join('; ') || String(code || name || 'Error');
  } catch {
    // Reading a property may throw: a plugin may throw a proxy, or an object with a getter.
    return noError;
  }
}

const noError = 'something that is not an Error was thrown';

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
