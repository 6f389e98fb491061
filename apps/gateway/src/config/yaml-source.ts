import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
} from 'yaml';
import { type ConfigProblem, formatPath, type Path, type Problem } from './problems.ts';
import { yamlCauses } from './yaml-causes.ts';

/** Deeper than any sensible config, and well within the stack. */
const maxDepth = 64;

/** A config file's text as a value, with the line and column of each value. */
export interface YamlSource {
  /** Plain objects, arrays and scalars: no cycles, no tags, no `__proto__`. The top is an object. */
  readonly value: Readonly<Record<string, unknown>>;
  /** Adds the line and column to a problem: those of the deepest part of its path that is in the file. */
  locate(problem: Problem): ConfigProblem;
}

/**
 * Reads the one YAML 1.2 document of a config file. Anything that can be read in two ways is a problem:
 * duplicate keys, several documents, unknown tags, unresolved aliases; and so are aliases that would grow without end.
 *
 * @param file for the problems' texts only
 */
export function parseYaml(file: string, text: string): YamlSource | { readonly problems: readonly ConfigProblem[] } {
  const lineCounter = new LineCounter();
  // prettyErrors would quote lines of the file, which may hold what should have been a secret.
  const document = parseDocument(text, {
    lineCounter,
    prettyErrors: false,
    stringKeys: true,
    resolveKnownTags: false,
    logLevel: 'error',
  });
  const at = (offset: number, message: string, fix?: string): ConfigProblem => {
    const { line, col } = lineCounter.linePos(offset);
    return {
      file,
      line: Math.max(line, 1),
      column: Math.max(col, 1),
      path: '',
      message,
      ...(fix === undefined ? {} : { fix }),
    };
  };
  const errors = [...document.errors, ...document.warnings].map(({ code, message, pos }) => ({
    code,
    message,
    offset: pos[0],
  }));
  if (errors.length > 0) {
    return { problems: yamlCauses(text, errors).map(({ offset, message, fix }) => at(offset, message, fix)) };
  }
  const locate = (problem: Problem): ConfigProblem => {
    const offset = offsetOf(document, problem);
    const located = at(offset ?? 0, problem.message, problem.fix);
    return { ...located, path: formatPath(problem.path) };
  };
  const fail = (path: Path, message: string, fix?: string) => ({
    problems: [locate({ path, message, ...(fix === undefined ? {} : { fix }) })],
  });
  if (document.contents === null) return fail([], 'is empty', 'it needs at least one entry under authenticators');
  if (!isMap(document.contents)) return fail([], 'must be keys and values at its top, such as "authenticators:"');
  try {
    const value: Record<string, unknown> = document.toJS();
    const problem = unplain(value, []);
    return problem ? { problems: [locate(problem)] } : { value, locate };
  } catch {
    return {
      problems: [
        at(
          unresolvedAlias(document) ?? 0,
          'an alias (a word that begins with "*") cannot be resolved, or there are too many',
          'quote a value that begins with *, or write it out instead of an alias',
        ),
      ],
    };
  }
}

function unresolvedAlias(document: Document.Parsed): number | undefined {
  let offset: number | undefined;
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) !== undefined) return undefined;
      offset = alias.range?.[0];
      return visit.BREAK;
    },
  });
  return offset;
}

/** @returns a problem when the value is nested too deep, or has a key that is not safe */
function unplain(value: unknown, path: Path): Problem | undefined {
  if (path.length > maxDepth) return { path, message: 'values are nested too deep, or an alias contains itself' };
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.hasOwn(value, '__proto__'))
    return { path: [...path, '__proto__'], message: 'is not allowed as a key', at: 'key' };
  const entries: [PropertyKey, unknown][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  for (const [key, child] of entries) {
    const problem = unplain(child, [...path, key]);
    if (problem) return problem;
  }
  return undefined;
}

function offsetOf(document: Document, { path, at }: Problem): number | undefined {
  let node: Node | null = document.contents;
  let offset = node?.range?.[0];
  for (const [index, step] of path.entries()) {
    const collection: Node | null = isAlias(node) ? (node.resolve(document) ?? null) : node;
    const pair = isMap(collection) ? collection.items.find((item) => keyOf(item) === String(step)) : undefined;
    const child = (isSeq(collection) ? collection.items[Number(step)] : pair?.value) as Node | null | undefined;
    const key = pair?.key as Node | undefined;
    const wanted = at === 'key' && index === path.length - 1 ? key : (child ?? key);
    if (!wanted?.range) break;
    offset = wanted.range[0];
    node = child ?? null;
  }
  return offset;
}

function keyOf(pair: Pair): string | undefined {
  return isScalar(pair.key) ? String(pair.key.value) : undefined;
}
