import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml';
import { type ConfigProblem, formatPath, type Path, type Problem } from './problems.ts';

/** How many levels of lists and maps a config may have: more than any sensible one, and the stack has space for far more. */
const maxDepth = 64;

/** A YamlSource is the text of a config file as a value, with the line and column of each value. */
export interface YamlSource {
  /** An object of plain objects, arrays and scalars. It has no cycles, no tags and no `__proto__`. */
  readonly value: Readonly<Record<string, unknown>>;
  /** Adds the line and column to a problem: where the deepest part of its path is that the file has. */
  locate(problem: Problem): ConfigProblem;
}

/**
 * Reads the one YAML 1.2 document of a config file. Anything that can be read in two ways is a problem:
 * duplicate keys, several documents, unknown tags, unresolved aliases; and so are aliases that would grow without end.
 *
 * @param file for the problems' texts only
 */
export function parseYaml(
  file: string,
  text: string,
): YamlSource | { readonly problems: readonly ConfigProblem[] } {
  const lineCounter = new LineCounter();
  // prettyErrors would quote lines of the file, which may hold what should have been a secret.
  const options = {
    lineCounter,
    prettyErrors: false,
    stringKeys: true,
    resolveKnownTags: false,
  } as const;
  const document = parseDocument(text, { ...options, logLevel: 'error' });
  const placeProblem = (
    offset: number,
    path: Path,
    { message, fix }: Pick<Problem, 'message' | 'fix'>,
  ): ConfigProblem => {
    const { line, col } = lineCounter.linePos(offset);
    const place = {
      file,
      line: Math.max(line, 1),
      column: Math.max(col, 1),
      path: formatPath(path),
    };
    return { ...place, message, ...(fix !== undefined && { fix }) };
  };
  const mistakes = mistakesIn(text, document);
  if (mistakes.length > 0)
    return { problems: mistakes.map((mistake) => placeProblem(mistake.offset, [], mistake)) };
  const locate = (problem: Problem) =>
    placeProblem(findOffset(document, problem) ?? 0, problem.path, problem);
  if (!isMap(document.contents))
    return { problems: [locate(document.contents === null ? empty : notAMap)] };
  try {
    const value: Record<string, unknown> = document.toJS();
    const problem = unplain(value, []);
    return problem ? { problems: [locate(problem)] } : { value, locate };
  } catch {
    return { problems: [placeProblem(unresolvedAlias(document) ?? 0, [], aliasProblem)] };
  }
}

const empty = {
  path: [],
  message: 'is empty',
  fix: 'write at least one entry under authenticators',
};
const notAMap = {
  path: [],
  message: 'must have keys and values at the top level, such as "authenticators:"',
  fix: 'begin it with a key and a colon, or check the path',
};
const aliasProblem = {
  message: 'unknown alias (a word that begins with "*"), or too many aliases',
  fix: 'quote a value that begins with *, or write it out instead of an alias',
};

interface Slip {
  readonly offset: number;
  readonly message: string;
  readonly fix: string;
}

/** Matches errors that each come from one mistake, and cause no other errors. */
const independent =
  /^(TAB_AS|DUPLICATE_KEY|TAG_RESOLVE|BAD_ALIAS|BAD_SCALAR_START|BAD_DQ_ESCAPE|COLON_IN_VALUE)/;

/**
 * Returns the errors to report. One mistake in indentation or brackets causes a row of errors, so nothing is reported after the first one.
 */
function mistakesIn(text: string, document: Document.Parsed): Slip[] {
  const errors = [...document.errors, ...document.warnings];
  const tabs = errors.filter(({ code }) => code === 'TAB_AS_INDENT');
  const slips: Slip[] = [];
  for (const { code, message: words, pos } of (tabs.length > 0 ? tabs : errors).slice(0, 5)) {
    const [offset] = pos;
    const [line = ''] = /.*/.exec(text.slice(offset)) ?? [];
    const hasColon =
      /^BLOCK_(AS_IMPLICIT_KEY|IN_FLOW)$/.test(code) &&
      /:([\s,}\]]|$)/.test(line.replace(/\s#.*/, ''));
    const isTemplate = /\{\{.*$/.test(
      text
        .slice(0, offset + 1)
        .split('\n')
        .at(-1) + line.slice(1),
    );
    const name = isTemplate ? 'TEMPLATE' : hasColon ? 'COLON_IN_VALUE' : code;
    const kind = `${name} ${words}`;
    const [, message, fix, place] = mistakes.find(([pattern]) => pattern.test(kind)) as Row;
    const firstOffset = code === 'DUPLICATE_KEY' ? firstKeyOffset(offset, document) : undefined;
    const also =
      firstOffset === undefined
        ? ''
        : `, which is already on line ${text.slice(0, firstOffset).split('\n').length}`;
    slips.push({
      offset: place?.(text, offset, document) ?? offset,
      message: message + also,
      fix,
    });
    if (!independent.test(kind)) break;
  }
  return slips;
}

/** Finds the key that a duplicate key repeats. @param offset the offset of the duplicate key */
function firstKeyOffset(offset: number, document: Document): number | undefined {
  let firstOffset: number | undefined;
  visit(document, {
    Map(_key, { items }) {
      const keys = items.map(({ key }) => key as Node | null);
      const names = keys.map((key) => (isScalar(key) ? String(key.value) : key));
      const index = keys.findIndex((key) => key?.range?.[0] === offset);
      if (index === -1) return undefined;
      firstOffset = keys[names.indexOf(names[index] ?? null)]?.range?.[0];
      return visit.BREAK;
    },
  });
  return firstOffset;
}

type Place = (text: string, offset: number, document: Document) => number;

/** Finds where the quote or bracket begins that is not closed: the parser notices it only at the end of what it has read. */
const opening: Place = (text, offset, document) => {
  let openingOffset = offset;
  visit(document, {
    Node(_key, node) {
      const [start = 0, end = 0] = node.range ?? [];
      if (/["'[{]/.test(text.charAt(start)) && start < offset && offset <= end)
        openingOffset = start;
    },
  });
  return openingOffset;
};

/** Finds the next word that is not in a comment: the parser reports the beginning of its line, or a blank line before it. */
const nextWord: Place = (text, offset) =>
  offset + (/^(?:\s|#.*)*/.exec(text.slice(offset))?.[0].length ?? 0);

const nextLine: Place = (text, offset, document) =>
  nextWord(text, Math.max(text.indexOf('\n', offset), offset), document);

type Row = readonly [pattern: RegExp, message: string, fix: string, place?: Place];

const quoteIt = 'put the whole value in quotes';
const quoteWhole = "quote the whole value, and write '' for a quote in single quotes";
const aligned = 'align it with the lines that it belongs to, by spaces';
const keyAndValue = `write "key: value", or ${aligned}`;
const alignedOrDash = 'align the two, or add a space after the dash above';

/**
 * The mistakes by the parser's code and message. The first row that matches counts. The parser's own messages quote the text of the
 * file, which may be a password that was written where { env } belongs.
 */
const mistakes: readonly Row[] = [
  [
    /^TEMPLATE/,
    'a template ({{ … }}), which nothing replaces in this file',
    'render it first, such as with helm template, or write the value',
  ],
  [/^TAB_AS_INDENT/, 'a tab is used to indent', 'use spaces'],
  [
    /^DUPLICATE_KEY/,
    'duplicate key',
    'remove one, or write "- " before the first key of a new list entry',
  ],
  [/^COLON_IN_VALUE/, 'a value contains ": ", which YAML reads as a new key', quoteIt],
  [
    /^BLOCK_AS_IMPLICIT/,
    'is indented deeper than the key above it, which already has a value',
    alignedOrDash,
    nextLine,
  ],
  [/and end with a .$/, 'a bracket is not closed', 'close it with ] or }', opening],
  [
    /^MISSING_CHAR Missing closing/,
    'a quote is not closed',
    'end the value with the same quote',
    opening,
  ],
  [
    /^BAD_INDENT|Sequence item without/,
    'the indentation does not fit the lines above',
    aligned,
    nextWord,
  ],
  [/^MULTILINE_IMPL|Implicit map keys/, 'a key needs a colon and a space after it', keyAndValue],
  [/^MULTIPLE_DOCS/, 'a second document begins here', 'keep one and remove the "---" line'],
  [/^RESOURCE_EXHAUSTION/, 'values are nested too deeply', 'remove some brackets'],
  [
    /^TAG_RESOLVE_FAILED/,
    'unknown tag (a word that begins with "!")',
    'quote a value that begins with !; write a secret as { env: NAME } or { file: PATH }',
  ],
  [/^NON_STRING_KEY/, 'a key must be a word', 'quote a key that begins with [ or {'],
  [/^BAD_ALIAS/, 'unknown alias (a word that begins with "*")', 'quote a value that begins with *'],
  [/^BAD_SCALAR_START/, 'a value begins with a reserved YAML character (@, ` or %)', quoteIt],
  [
    /^BAD_DQ_ESCAPE/,
    'a backslash in double quotes begins an unknown escape',
    'write \\\\ for a backslash',
  ],
  [
    /block-seq-ind/,
    'a list begins on the line of its key',
    'begin it on the next line, or write [ … ]',
  ],
  [/scalar at node end$/, 'a value continues after its closing quote or bracket', quoteWhole],
  [
    /./,
    'is not valid YAML here',
    'put a value that contains [ ] { } : or # in quotes; check brackets and indentation',
  ],
];

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

/** Finds a value that is nested too deep, or has a key that is not safe. */
function unplain(value: unknown, path: Path): Problem | undefined {
  if (path.length > maxDepth)
    return { path, message: 'values are nested too deeply, or an alias contains itself' };
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.hasOwn(value, '__proto__')) {
    return { path: [...path, '__proto__'], message: 'is not allowed as a key', at: 'key' };
  }
  const entries: [PropertyKey, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  for (const [key, child] of entries) {
    const problem = unplain(child, [...path, key]);
    if (problem) return problem;
  }
  return undefined;
}

function findOffset(document: Document, { path, at: target }: Problem): number | undefined {
  let node: Node | null = document.contents;
  let offset = node?.range?.[0];
  for (const [index, step] of path.entries()) {
    const collection: Node | null = isAlias(node) ? (node.resolve(document) ?? null) : node;
    const pairs = isMap(collection) ? collection.items : [];
    const pair = pairs.find(({ key }) => isScalar(key) && String(key.value) === String(step));
    const child = (isSeq(collection) ? collection.items[Number(step)] : pair?.value) as
      | Node
      | null
      | undefined;
    const key = pair?.key as Node | undefined;
    const place = target === 'key' && index === path.length - 1 ? key : (child ?? key);
    if (!place?.range) break;
    offset = place.range[0];
    node = child ?? null;
  }
  return offset;
}
