import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  YAMLParseError,
} from 'yaml';
import { readFileReason, usageFailure } from '../failure.ts';
import { readIfThere } from '../files.ts';
import { isObject } from '../text.ts';

export type KubeconfigFile = ReturnType<typeof readFile>;

export const kubeconfigKinds = { clusters: 'cluster', users: 'user', contexts: 'context' } as const;

export type Kind = keyof typeof kubeconfigKinds;

/**
 * Lists the kubeconfig files.
 *
 * @see https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 * @param path is used instead of all others
 */
export function kubeconfigPaths(
  path?: string,
  env = process.env,
  home = homedir(),
): readonly string[] {
  if (path?.includes(delimiter) && !existsSync(path)) {
    throw usageFailure(
      `--kubeconfig: there is no file ${path}`,
      `name one file. Only KUBECONFIG can name several, with "${delimiter}" between them`,
    );
  }
  const listed = path === undefined ? (env.KUBECONFIG ?? '').split(delimiter) : [path];
  const paths = [...new Set(listed.filter((file) => file !== ''))];
  const literal = paths.find((file) => file.startsWith('~') && !existsSync(file));
  if (literal !== undefined) {
    throw usageFailure(
      `there is no kubeconfig ${literal}`,
      'write "$HOME" in place of ~, which the shell did not replace',
    );
  }
  return paths.length > 0 ? paths : [join(home, '.kube', 'config')];
}

/** Finds the file that gets new entries, as kubectl does: the first that exists, else the last. */
export function fileForNew(paths: readonly string[]): string {
  return paths.find((path) => existsSync(path)) ?? paths.at(-1) ?? '';
}

/** Reads a file; a missing one counts as empty. @throws Failure when it can't be read, or is not a kubeconfig */
export function readFile(path: string) {
  let text: string;
  try {
    text = readIfThere(path) ?? '';
  } catch (cause) {
    throw usageFailure(
      `can't read the kubeconfig ${path}: ${readFileReason(cause)}`,
      'name another one with --kubeconfig, or correct KUBECONFIG',
      { cause },
    );
  }
  const refuse = (problem: string) =>
    usageFailure(`${path}${problem}`, 'fix it, and run this again');
  const document = parseKubeconfig(text);
  const [error] = document.errors;
  if (error !== undefined) {
    throw refuse(
      `:${error.linePos?.[0].line ?? 1}: it is not valid YAML: ${error.message.replace(/:?\n.*/s, '')}`,
    );
  }
  if (!isMap(document.contents) && !isNull(document.contents))
    throw refuse(': it is not a kubeconfig: it has no keys');
  for (const kind of Object.keys(kubeconfigKinds)) {
    const list = document.get(kind, true);
    if (list !== undefined && !isSeq(list) && !isNull(list))
      throw refuse(`: ${kind} is not a list`);
  }
  return { path, text, document };
}

/**
 * Parses a kubeconfig. All values are texts, as they are written: a number of many digits, or a word that is a boolean to other
 * readers, is the same when it is written again.
 */
export function parseKubeconfig(text: string): Document {
  const lineCounter = new LineCounter();
  // With `uniqueKeys`, each key is compared with all before it: 60,000 keys of a server would take minutes.
  const document = parseDocument(text, { schema: 'failsafe', uniqueKeys: false, lineCounter });
  const start = startOfDuplicate(document);
  if (start !== undefined) {
    const error = new YAMLParseError(
      [start, start + 1],
      'DUPLICATE_KEY',
      'Map keys must be unique',
    );
    document.errors.push(Object.assign(error, { linePos: [lineCounter.linePos(start)] }));
  }
  return document;
}

/** Finds the first key that its map contains already. */
function startOfDuplicate(document: Document): number | undefined {
  let start: number | undefined;
  visit(document, {
    Map(_key, { items }) {
      const keys = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (keys.has(key.value)) {
          start = key.range?.[0] ?? 0;
          return visit.BREAK;
        }
        keys.add(key.value);
      }
      return undefined;
    },
  });
  return start;
}

function isNull(node: unknown): boolean {
  return node === null || (isScalar(node) && /^(null|~|)$/i.test(String(node.value ?? '')));
}

/**
 * Reads the entries of `clusters`, `users` or `contexts`. A `value` is what is below `cluster`,
 * `user` or `context`.
 */
export function listEntries({ document }: KubeconfigFile, kind: Kind) {
  const list: unknown = document.toJS()?.[kind];
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown) => {
    if (!isObject(entry) || typeof entry.name !== 'string') return [];
    const value = entry[kubeconfigKinds[kind]];
    return [{ name: entry.name, value: isObject(value) ? value : {} }];
  });
}

/** Finds an entry in all files: the first file that has it decides. */
export function findKubeconfigEntry(files: readonly KubeconfigFile[], kind: Kind, name: unknown) {
  return files.flatMap((file) => listEntries(file, kind)).find((entry) => entry.name === name);
}

/** Lists all entries by their names, as `findKubeconfigEntry` finds them, for a caller that needs many. */
export function entriesByName(files: readonly KubeconfigFile[], kind: Kind) {
  const byName = new Map<unknown, ReturnType<typeof listEntries>[number]>();
  for (const entry of files.flatMap((file) => listEntries(file, kind))) {
    if (!byName.has(entry.name)) byName.set(entry.name, entry);
  }
  return byName;
}

export function currentContext(files: readonly KubeconfigFile[]): string | undefined {
  return files
    .map(({ document }): unknown => document.get('current-context'))
    .find((name) => typeof name === 'string' && name !== '') as string | undefined;
}
