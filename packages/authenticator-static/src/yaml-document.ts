import {
  constructFromEvents,
  EVENT_ID,
  type Event,
  getScalarValue,
  parseEvents,
  YAMLException,
} from 'js-yaml';
import type { FileProblem } from './token-file.ts';

type Place = Required<Pick<FileProblem, 'line' | 'column'>>;

/** A part of a file that can be parsed by itself. */
export interface Slice {
  readonly text: string;
  /** The line of the file, from 1, of the text's first line. */
  readonly line: number;
}

/** A value of a YAML document, with its line and column. */
export interface YamlNode {
  readonly place: Place;
  /** A mapping has keys and values in turn. A list has its items. */
  readonly children: readonly YamlNode[];
  /** The text of a scalar. It is undefined for mappings, lists and aliases. */
  readonly text?: string;
}

/**
 * Parses a document of YAML 1.2 (core schema, so dates are strings).
 *
 * @throws YAMLException when the text is not valid YAML, or not exactly one document
 */
export function parseYamlDocument({ text, line }: Slice): {
  readonly value: unknown;
  readonly root: YamlNode;
} {
  const events = parseEvents(text, {});
  const values = constructFromEvents(events, { source: text });
  const root = nodes(events, text, line)[0]?.children[0];
  if (root === undefined) throw new YAMLException('the file is empty');
  if (values.length > 1) throw new YAMLException('the file has several documents');
  return { value: values[0], root };
}

/** Builds a tree of the parser's flat events for each document. */
function nodes(events: readonly Event[], text: string, firstLine: number): readonly YamlNode[] {
  const placeAt = placeFinder(text, firstLine);
  const documents: YamlNode[] = [];
  const open = [documents];
  let offset = 0;
  for (const event of events) {
    if (event.type === EVENT_ID.POP) {
      open.pop();
      continue;
    }
    const start = findStart(event);
    // An empty value has no place, so it gets the place of its key.
    if (start !== -1) offset = start;
    const children: YamlNode[] = [];
    const scalar = event.type === EVENT_ID.SCALAR ? { text: getScalarValue(text, event) } : {};
    open.at(-1)?.push({ place: placeAt(offset), children, ...scalar });
    if (event.type !== EVENT_ID.SCALAR && event.type !== EVENT_ID.ALIAS) open.push(children);
  }
  return documents;
}

function findStart(event: Exclude<Event, { type: typeof EVENT_ID.POP }>): number {
  if ('start' in event) return event.start;
  if ('valueStart' in event) return event.valueStart;
  return 'anchorStart' in event ? event.anchorStart : -1;
}

/** Finds the lines and columns of offsets, which must come in ascending order. */
function placeFinder(text: string, firstLine: number): (offset: number) => Place {
  let [line, lineStart] = [firstLine, 0];
  let nextLine = text.indexOf('\n') + 1;
  return (offset) => {
    while (nextLine !== 0 && nextLine <= offset) {
      [line, lineStart] = [line + 1, nextLine];
      nextLine = text.indexOf('\n', nextLine) + 1;
    }
    return { line, column: offset - lineStart + 1 };
  };
}

/** The node at a path of keys and indexes, or the last node on the path that exists. */
export function nodeAt(root: YamlNode, path: readonly PropertyKey[]): YamlNode {
  let node = root;
  for (const step of path) {
    const child = typeof step === 'number' ? node.children[step] : findKey(node, step)?.value;
    if (child === undefined) return node;
    node = child;
  }
  return node;
}

/** A key of a mapping with its value. */
export function findKey(
  mapping: YamlNode,
  name: PropertyKey,
): { key: YamlNode; value?: YamlNode } | undefined {
  const index = mapping.children.findIndex(
    ({ text }, position) => position % 2 === 0 && text === name,
  );
  const [key, value] = index === -1 ? [] : mapping.children.slice(index, index + 2);
  return key && { key, ...(value && { value }) };
}

/** Explains why a text is not valid YAML. Unlike the message of the parser, it quotes nothing. */
export function syntaxProblem({ reason, mark }: YAMLException): FileProblem {
  const message = `not valid YAML: ${reason.replace(/(?:"|: |!<).*/s, '').trim()}`;
  return mark ? { line: mark.line + 1, column: mark.column + 1, message } : { line: 1, message };
}
