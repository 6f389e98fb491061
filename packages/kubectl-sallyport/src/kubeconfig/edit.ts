import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isSeq, parseDocument, Scalar, visit } from 'yaml';
import { usageFailure } from '../failure.ts';
import { isObject } from '../json.ts';
import { type Kind, type KubeconfigFile, kinds } from './files.ts';

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
  if (!isMap(document.contents)) document.contents = document.createNode({}) as Document['contents'];
  for (const key of ['apiVersion', 'kind', 'preferences']) {
    if (!document.has(key) && key in expected) document.set(key, document.createNode(expected[key]));
  }
  for (const entry of edits.entries) setEntry(document, entry);
  if (edits.currentContext !== undefined) document.set('current-context', node(document, edits.currentContext));
  // A folded line would be another text to older readers.
  const text = document.toString({ lineWidth: 0 });
  const after = parseDocument(text);
  if (after.errors.length === 0 && isDeepStrictEqual(after.toJS(), expected)) return text;
  throw usageFailure(`${path}: cannot edit it without a loss; it was left as it is. Use --kubeconfig NEW_FILE`);
}

type Content = Readonly<Record<string, unknown>>;

/** The same in plain objects. */
function expectedContent(before: Content, { entries, currentContext }: Edits): Content {
  const content: Record<string, unknown> = { apiVersion: 'v1', kind: 'Config', ...before };
  for (const { kind, name, value } of entries) {
    const found: unknown = content[kind];
    const list: readonly unknown[] = Array.isArray(found) ? found : [];
    const entry = { name, [kinds[kind]]: value };
    const isSame = (one: unknown) => isObject(one) && one.name === name;
    content[kind] = list.some(isSame) ? list.map((one) => (isSame(one) ? entry : one)) : [...list, entry];
  }
  return currentContext === undefined ? content : { ...content, 'current-context': currentContext };
}

function setEntry(document: Document, { kind, name, value }: Entry): void {
  const entry = node(document, { name, [kinds[kind]]: value });
  const list = document.get(kind);
  if (!isSeq(list)) {
    document.set(kind, document.createNode([entry]));
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
  const created = document.createNode(value);
  visit(created, {
    Pair: () => undefined,
    Scalar(key, scalar) {
      if (key !== 'key' && typeof scalar.value === 'string') scalar.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return created;
}
