import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isSeq, Scalar, type YAMLMap, type YAMLSeq } from 'yaml';
import { usageFailure } from '../failure.ts';
import { isObject } from '../json.ts';
import { type Kind, type KubeconfigFile, kinds, parseKubeconfig } from './files.ts';

/** What a file is to have. All else in it stays. */
export interface Edits {
  readonly entries: readonly Entry[];
  readonly currentContext?: string;
}

interface Entry {
  readonly kind: Kind;
  readonly name: string;
  /** What is below `cluster`, `user` or `context`. */
  readonly value: object;
}

/**
 * Writes a file with its edits: entries with these names are replaced, others and comments stay.
 *
 * @throws Failure rather than return a text that has lost something
 */
export function withEdits({ document, path }: KubeconfigFile, edits: Edits): string {
  const before: unknown = document.toJS();
  const expected = expectedContent(isObject(before) ? before : {}, edits);
  try {
    const text = write(document, edits);
    if (isDeepStrictEqual(parseKubeconfig(text).toJS(), expected)) return text;
  } catch {
    // As below.
  }
  throw usageFailure(`${path}: cannot edit it without a loss; it was left as it is. Use --kubeconfig NEW_FILE`);
}

function write(document: Document, { entries, currentContext }: Edits): string {
  if (!isMap(document.contents)) document.contents = document.createNode({}) as Document['contents'];
  for (const [key, value] of Object.entries(header)) if (!document.has(key)) document.set(key, value);
  for (const entry of entries) setEntry(document, entry);
  if (currentContext !== undefined) document.set('current-context', node(document, currentContext));
  // A folded line would be another text to older readers.
  return document.toString({ lineWidth: 0 });
}

const header = { apiVersion: 'v1', kind: 'Config' };

type Content = Readonly<Record<string, unknown>>;

/** The same in plain objects. */
function expectedContent(before: Content, { entries, currentContext }: Edits): Content {
  const content: Record<string, unknown> = { ...header, ...before };
  for (const { kind, name, value } of entries) {
    const found: unknown = content[kind];
    const list: readonly unknown[] = Array.isArray(found) ? found : [];
    const entry = asTexts({ name, [kinds[kind]]: value });
    const isSame = (one: unknown) => isObject(one) && one.name === name;
    content[kind] = list.some(isSame) ? list.map((one) => (isSame(one) ? entry : one)) : [...list, entry];
  }
  return currentContext === undefined ? content : { ...content, 'current-context': currentContext };
}

/** As `parseKubeconfig` reads it. */
function asTexts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asTexts);
  if (!isObject(value)) return String(value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, asTexts(inner)]));
}

function setEntry(document: Document, { kind, name, value }: Entry): void {
  const entry = node(document, { name, [kinds[kind]]: value });
  const list = document.get(kind);
  if (!isSeq(list)) {
    const added = document.createNode([]) as YAMLSeq;
    added.flow = false;
    added.add(entry);
    document.set(kind, added);
    return;
  }
  // `clusters: []`, as kubectl writes an empty list, would stay on one line.
  if (list.items.length === 0) list.flow = false;
  const index = list.items.findIndex((one) => isMap(one) && one.get('name') === name);
  if (index === -1) list.add(entry);
  else list.set(index, entry);
}

/** A node whose texts are quoted: to a reader of YAML 1.1, as kubectl's is, a plain `on` or `1e3` is no text. */
function node(document: Document, value: unknown): ReturnType<Document['createNode']> {
  if (Array.isArray(value)) return seqOf(document, value);
  if (isObject(value)) {
    const map = document.createNode({}) as YAMLMap;
    map.flow = false;
    for (const [key, inner] of Object.entries(value)) map.set(quoted(key), node(document, inner));
    return map;
  }
  return typeof value === 'string' ? quoted(value) : new Scalar(String(value));
}

function seqOf(document: Document, values: readonly unknown[]): YAMLSeq {
  const seq = document.createNode([]) as YAMLSeq;
  seq.flow = false;
  for (const value of values) seq.add(node(document, value));
  return seq;
}

function quoted(text: string): Scalar {
  const scalar = new Scalar(text);
  // A word that begins with a letter and has no more than letters and dashes is a text, except for a few.
  const isPlain = /^[a-z]+(-[a-z]+)*$/i.test(text) && !/^(y|n|yes|no|on|off|true|false|null)$/i.test(text);
  if (!isPlain) scalar.type = Scalar.QUOTE_DOUBLE;
  return scalar;
}
