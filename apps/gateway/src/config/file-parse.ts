import { isObject, issueProblems, overlaps, type Path, type Problem, wordIssue } from './problems.ts';
import { checkRules } from './rules.ts';
import { fileJsonSchema, fileSchema } from './schema.ts';
import type { FileConfig } from './types.ts';
import { unknownKeys } from './unknown-keys.ts';

type Written = Readonly<Record<string, unknown>>;

/** What a file says apart from its plugins' options, and all that is wrong with it. */
export interface ParsedFile {
  /** Undefined when a value is not good by itself. */
  readonly config?: FileConfig;
  readonly problems: readonly Problem[];
}

/** Finds unknown keys, wrong values and broken rules, all at once. A rule that needs a wrong value is not judged. */
export function parseFile(value: Written): ParsedFile {
  const unknown = unknownKeys(fileJsonSchema(), value, []);
  const result = fileSchema.safeParse(value, { error: wordIssue });
  const problems = [...unknown, ...issueProblems(result.error?.issues ?? [], [], unknown)];
  const isGood = (path: Path) => !problems.some((problem) => overlaps(problem.path, path));
  // safeParse returns nothing when a value is wrong. What was read of the others is in what it is made of.
  const parts =
    result.data ?? (fileSchema._zod.run({ value, issues: [] }, { async: false }) as { value: FileConfig }).value;
  const broken = checkRules(parts, value, isGood);
  return { ...(result.success && { config: result.data }), problems: [...problems, ...broken] };
}

/**
 * The file without what has a problem: a section without its wrong keys, the list without its wrong authenticators.
 * Defaults are in the place of what is left out. It is for `check`, which inspects the good parts; nothing runs on it.
 */
export function goodParts(value: Written, isGood: (path: Path) => boolean): FileConfig {
  const sections = Object.entries(fileSchema.shape).map(([key, schema]) => {
    const written = isGood([key]) ? value[key] : withoutProblems(value[key], [key], isGood);
    const { data } = schema.safeParse(written);
    return [key, data ?? schema.safeParse(undefined).data] as const;
  });
  const config = Object.fromEntries(sections.filter(([, data]) => data !== undefined));
  return { authenticators: [], ...config } as unknown as FileConfig;
}

function withoutProblems(value: unknown, path: Path, isGood: (path: Path) => boolean): unknown {
  if (Array.isArray(value)) return value.filter((_, index) => isGood([...path, index]));
  if (!isObject(value)) return undefined;
  return Object.fromEntries(Object.entries(value).filter(([key]) => isGood([...path, key])));
}
