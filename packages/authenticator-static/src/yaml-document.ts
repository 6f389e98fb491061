import { constructFromEvents, EVENT_ID, type Event, getScalarValue, parseEvents, YAMLException } from 'js-yaml';
import type { Fault } from './faults.ts';
import type { Slice } from './text.ts';

/** A place in a file, each number from 1. */
interface Place {
  readonly line: number;
  readonly column: number;
}

/** A value of a YAML document, and where it stands. */
export interface YamlNode {
  readonly place: Place;
  /** Of a mapping: key, value, key, value. Of a list: its items. */
  readonly children: readonly YamlNode[];
  /** A scalar's text; undefined for mappings, lists and aliases. */
  readonly text?: string;
}

/** A document of YAML 1.2 (core schema, so dates are strings). */
export interface YamlDocument {
  readonly value: unknown;
  readonly root: YamlNode;
}

/** @throws YAMLException when the text is no YAML, or not exactly one document */
export function parseYaml({ text, line }: Slice): YamlDocument {
  const events = parseEvents(text, {});
  const values = constructFromEvents(events, { source: text });
  const root = nodes(events, text, line)[0]?.children[0];
  if (root === undefined) throw new YAMLException('the file is empty');
  if (values.length > 1) throw new YAMLException('the file holds several documents');
  return { value: values[0], root };
}

/** The parser's flat events as a tree; one for each document. */
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
    const start = startOf(event);
    // A value that is left out has no place: that of its key serves.
    if (start !== -1) offset = start;
    const children: YamlNode[] = [];
    const scalar = event.type === EVENT_ID.SCALAR ? { text: getScalarValue(text, event) } : {};
    open.at(-1)?.push({ place: placeAt(offset), children, ...scalar });
    if (event.type !== EVENT_ID.SCALAR && event.type !== EVENT_ID.ALIAS) open.push(children);
  }
  return documents;
}

function startOf(event: Exclude<Event, { type: typeof EVENT_ID.POP }>): number {
  if ('start' in event) return event.start;
  if ('valueStart' in event) return event.valueStart;
  return 'anchorStart' in event ? event.anchorStart : -1;
}

/** Places of offsets that are asked for in ascending order. */
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

/** The node that a path of keys and indexes leads to, or the last one on the way that exists. */
export function nodeAt(root: YamlNode, path: readonly PropertyKey[]): YamlNode {
  let node = root;
  for (const step of path) {
    const child = typeof step === 'number' ? node.children[step] : keyOf(node, step)?.value;
    if (child === undefined) return node;
    node = child;
  }
  return node;
}

/** The key of a mapping and its value. */
export function keyOf(mapping: YamlNode, name: PropertyKey): { key: YamlNode; value?: YamlNode } | undefined {
  const index = mapping.children.findIndex(({ text }, at) => at % 2 === 0 && text === name);
  const [key, value] = index === -1 ? [] : mapping.children.slice(index, index + 2);
  return key && { key, ...(value && { value }) };
}

/** What is wrong with a text that is no YAML. Quotes nothing of it, as the parser's own message does. */
export function syntaxFault({ reason, mark }: YAMLException): Fault {
  const message = `not valid YAML: ${reason.replace(/(?:"|: |!<).*/s, '').trim()}`;
  return mark ? { line: mark.line + 1, column: mark.column + 1, message } : { line: 1, message };
}
