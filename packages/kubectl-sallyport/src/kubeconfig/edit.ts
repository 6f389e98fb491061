import { realpathSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isSeq, visit } from 'yaml';
import { Failure, readFileReason, usageFailure } from '../failure.ts';
import { createFile, makeFolder, replaceFile } from '../files.ts';
import { isObject } from '../text.ts';
import {
  type Kind,
  type KubeconfigFile,
  kubeconfigKinds,
  parseKubeconfig,
  readFile,
} from './files.ts';

/** Edits say what a file must contain. All else in it stays. */
export interface Edits {
  readonly entries: readonly KubeconfigEntry[];
  readonly currentContext?: string | undefined;
}

export interface KubeconfigEntry {
  readonly kind: Kind;
  readonly name: string;
  /** The value of the key `cluster`, `user` or `context`. */
  readonly value: object;
}

/**
 * Edits a file of the kubeconfig, but not while kubectl does.
 *
 * @throws Failure when it can't be done; then the file is as it was
 */
export function editFile(path: string, edits: Edits): void {
  try {
    makeFolder(dirname(path));
    using _ = lock(path);
    const current = readFile(path);
    const text = withEdits(current, edits);
    if (text === current.text) return;
    // A link stays a link, and the file keeps its rights. A new one is for its user alone.
    const existing = statSync(path, { throwIfNoEntry: false });
    if (existing === undefined) replaceFile(path, text);
    else replaceFile(realpathSync(path), text, existing.mode & 0o777);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw usageFailure(
      `can't write the kubeconfig ${path}: ${readFileReason(error)}`,
      'name another one with --kubeconfig, or correct KUBECONFIG',
      { cause: error },
    );
  }
}

/** Takes kubectl's own lock: `lockFile` of k8s.io/client-go/tools/clientcmd. */
function lock(path: string): Disposable {
  const file = `${path}.lock`;
  if (!createFile(file, '')) {
    throw usageFailure(
      `can't write the kubeconfig ${path}: ${file} exists, so kubectl is writing it`,
      'run this again; if that file stays, delete it',
    );
  }
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
}

/**
 * Replaces entries with these names; others and comments stay.
 *
 * @throws Failure instead of returning a text that has lost something
 */
export function withEdits({ document, path }: KubeconfigFile, edits: Edits): string {
  const content: unknown = document.toJS();
  const expected = expectedContent(isObject(content) ? content : {}, edits);
  try {
    const text = write(document, edits);
    if (isDeepStrictEqual(parseKubeconfig(text).toJS(), expected)) return text;
  } catch {
    // The failure below says it.
  }
  throw usageFailure(
    `${path}: can't edit it without a loss, so it was left as it is`,
    'use --kubeconfig NEW_FILE',
  );
}

const header = { apiVersion: 'v1', kind: 'Config' };

/**
 * Makes the same content as `write`, but from plain objects and with none of its code, so that a
 * loss there is detected.
 */
function expectedContent(oldContent: object, { entries, currentContext }: Edits): object {
  const content: Record<string, unknown> = { ...header, ...oldContent };
  for (const { kind, name, value } of entries) {
    const oldList: unknown = content[kind];
    const list: readonly unknown[] = Array.isArray(oldList) ? oldList : [];
    const entry = asTexts({ name, [kubeconfigKinds[kind]]: value });
    const isSame = (oldEntry: unknown) => isObject(oldEntry) && oldEntry.name === name;
    content[kind] = list.some(isSame)
      ? list.map((oldEntry) => (isSame(oldEntry) ? entry : oldEntry))
      : [...list, entry];
  }
  return currentContext === undefined ? content : { ...content, 'current-context': currentContext };
}

/** Turns a value into texts, as `parseKubeconfig` reads them. */
function asTexts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asTexts);
  if (!isObject(value)) return String(value);
  const fields = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(fields.map(([key, inner]) => [key, asTexts(inner)]));
}

function write(document: Document, { entries, currentContext }: Edits): string {
  if (!isMap(document.contents))
    document.contents = document.createNode({}) as Document['contents'];
  for (const [key, value] of Object.entries(header))
    if (!document.has(key)) document.set(key, value);
  for (const entry of entries) setEntry(document, entry);
  if (currentContext !== undefined)
    document.set('current-context', createNode(document, currentContext));
  // A folded line would be another text to older readers.
  return document.toString({ lineWidth: 0 });
}

function setEntry(document: Document, { kind, name, value }: KubeconfigEntry): void {
  const entry = createNode(document, { name, [kubeconfigKinds[kind]]: value });
  const list = document.get(kind);
  if (!isSeq(list)) {
    document.set(kind, document.createNode([entry]));
    return;
  }
  // `clusters: []`, as kubectl writes an empty list, would stay on one line.
  if (list.items.length === 0) list.flow = false;
  const index = list.items.findIndex((node) => isMap(node) && node.get('name') === name);
  if (index === -1) list.add(entry);
  else list.set(index, entry);
}

/**
 * Makes a node of texts, as `parseKubeconfig` reads them. A reader of YAML 1.1, such as kubectl,
 * takes a plain `on` or `1e3` for something else.
 */
function createNode(document: Document, value: unknown) {
  const node = document.createNode(value, { aliasDuplicateObjects: false });
  visit(node, {
    Scalar(_key, scalar) {
      const text = String(scalar.value);
      // A word that begins with a letter and has no more than letters and dashes is a text, except for a few.
      const isPlain =
        /^[a-z]+(-[a-z]+)*$/i.test(text) && !/^(y|n|yes|no|on|off|true|false|null)$/i.test(text);
      if (typeof scalar.value === 'string' && !isPlain) scalar.type = 'QUOTE_DOUBLE';
      scalar.value = text;
    },
  });
  return node;
}
