import { z } from 'zod';
import { withGoodParts } from './cache/redis.ts';
import type { FileConfig } from './file-config.ts';
import { issueProblems } from './issues.ts';
import { wordIssue } from './messages.ts';
import { overlaps, type Path, type Problem } from './problems.ts';
import { checkRules } from './rules.ts';
import { fileSchema } from './schema.ts';
import { type JsonSchema, unknownKeys } from './unknown-keys.ts';

/** What a file says apart from its plugins' options: good, or all that is wrong with it. */
export interface ParsedFile {
  /** Undefined when a value is not of its kind. */
  readonly config?: FileConfig;
  /** Without `config`: the file with each wrong value left out, where enough of it is left. */
  readonly rest?: FileConfig;
  readonly problems: readonly Problem[];
}

/** The file's own schema as editors and the search for unknown keys see it; options are free in it. */
export function fileJsonSchema(): JsonSchema {
  return z.toJSONSchema(fileSchema, { io: 'input', target: 'draft-2020-12' });
}

/** Unknown keys, wrong values and broken rules, all at once. */
export function parseFile(value: Readonly<Record<string, unknown>>): ParsedFile {
  const unknown = unknownKeys(fileJsonSchema(), value, []);
  const result = fileSchema.safeParse(value, { error: wordIssue });
  if (result.success) return { config: result.data, problems: checkRules(result.data, value) };
  const issues = issueProblems(result.error.issues, [], unknown);
  const problems = [...unknown, ...issues];
  const rest = restOf(value, problems);
  return rest === undefined ? { problems } : { rest: rest.config, problems: [...problems, ...rulesOf(rest, problems)] };
}

interface Rest {
  readonly value: Readonly<Record<string, unknown>>;
  readonly config: FileConfig;
}

function restOf(value: Readonly<Record<string, unknown>>, problems: readonly Problem[]): Rest | undefined {
  const rest = structuredClone(value);
  for (const { path } of problems) erase(rest, path);
  if (problems.some(({ path }) => overlaps(path, cacheRedis))) change(rest, cacheRedis, withGoodParts);
  // What has no default is text: one of these fits each pattern, and no rule that looks at it is heard.
  for (const text of ['x', 'system:x']) {
    for (const { path } of fileSchema.safeParse(rest).error?.issues ?? []) change(rest, path, () => text);
  }
  const config = fileSchema.safeParse(rest).data;
  return config && { value: rest, config };
}

/** The rules that broken values have no part in, so that mending those brings no new surprise. */
function rulesOf({ value, config }: Rest, problems: readonly Problem[]): Problem[] {
  const touched = (path: Path) => problems.some((problem) => overlaps(problem.path, path));
  return checkRules(config, value).filter((problem) => ![problem.path, ...problem.because].some(touched));
}

/** The one section that has no least form: its keys depend on each other. */
const cacheRedis: Path = ['cache', 'redis'];

function erase(value: object, path: Path): void {
  const parent = parentOf(value, path);
  if (parent) Reflect.deleteProperty(parent, path.at(-1) ?? '');
}

function change(value: object, path: Path, into: (old: unknown) => unknown): void {
  const parent = parentOf(value, path);
  const key = path.at(-1) ?? '';
  if (parent) Reflect.set(parent, key, into(Reflect.get(parent, key)));
}

function parentOf(value: object, path: Path): object | undefined {
  const parent = path
    .slice(0, -1)
    .reduce<unknown>(
      (inner, step) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, step) : undefined),
      value,
    );
  return typeof parent === 'object' && parent !== null ? parent : undefined;
}
