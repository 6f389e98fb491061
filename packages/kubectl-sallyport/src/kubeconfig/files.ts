import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Document, isScalar, isSeq, parseDocument } from 'yaml';
import { codeOf, reasonOf, usageFailure } from '../failure.ts';
import { isObject } from '../json.ts';

/** A file of the kubeconfig, as it is on disk. A file that is missing has no document. */
export interface KubeconfigFile {
  readonly path: string;
  readonly text: string;
  readonly document: Document;
}

/** An entry of `clusters`, `users` or `contexts`. */
export interface NamedEntry {
  readonly name: string;
  /** What is below `cluster`, `user` or `context`. */
  readonly value: Readonly<Record<string, unknown>>;
}

export const kinds = { clusters: 'cluster', users: 'user', contexts: 'context' } as const;

export type Kind = keyof typeof kinds;

/**
 * Lists the files of the kubeconfig, as kubectl does.
 *
 * @param given a file that is used instead of all others
 * @see https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 */
export function kubeconfigPaths(given: string | undefined, env: NodeJS.ProcessEnv, home: string): readonly string[] {
  if (given !== undefined) return [given];
  const listed = [...new Set((env.KUBECONFIG ?? '').split(delimiter).filter((path) => path !== ''))];
  return listed.length > 0 ? listed : [join(home, '.kube', 'config')];
}

/** The file that gets new entries: the first that exists, else the last. kubectl takes the same. */
export function fileForNew(paths: readonly string[]): string {
  return paths.find((path) => existsSync(path)) ?? paths.at(-1) ?? '';
}

/** @throws Failure when it can't be read, or is no kubeconfig */
export function readFile(path: string): KubeconfigFile {
  const text = readText(path);
  const document = parseKubeconfig(text);
  const [error] = document.errors;
  if (error !== undefined) {
    const line = error.linePos?.[0].line ?? 1;
    throw usageFailure(`${path}:${line}: it is no YAML: ${error.message.split('\n')[0]} Fix it, and run this again`);
  }
  const content: unknown = document.toJS() ?? {};
  if (!isObject(content) && !isNull(document.contents))
    throw usageFailure(`${path}: it is no kubeconfig: it has no keys. Fix it, and run this again`);
  for (const kind of Object.keys(kinds)) {
    const list = document.get(kind, true);
    if (list !== undefined && !isSeq(list) && !isNull(list)) {
      throw usageFailure(`${path}: ${kind} is no list. Fix it, and run this again`);
    }
  }
  return { path, text, document };
}

/**
 * Parses a kubeconfig. All values are texts, as they are written: a number of many digits, or a word that is a boolean to other
 * readers, is the same when it is written again.
 */
export function parseKubeconfig(text: string): Document {
  return parseDocument(text, { schema: 'failsafe' });
}

function isNull(node: unknown): boolean {
  return isScalar(node) && /^(null|~|)$/i.test(String(node.value ?? ''));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return '';
    throw usageFailure(`cannot read the kubeconfig ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

export function entriesOf({ document }: KubeconfigFile, kind: Kind): readonly NamedEntry[] {
  const list: unknown = document.toJS()?.[kind];
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown) => {
    if (!isObject(entry) || typeof entry.name !== 'string') return [];
    const value = entry[kinds[kind]];
    return [{ name: entry.name, value: isObject(value) ? value : {} }];
  });
}

/** Finds an entry in all files: the first file that has it decides. */
export function findEntry(files: readonly KubeconfigFile[], kind: Kind, name: unknown): NamedEntry | undefined {
  return files.flatMap((file) => entriesOf(file, kind)).find((entry) => entry.name === name);
}

export function currentContext(files: readonly KubeconfigFile[]): string | undefined {
  return files
    .map(({ document }): unknown => document.get('current-context'))
    .find((name) => typeof name === 'string' && name !== '') as string | undefined;
}
