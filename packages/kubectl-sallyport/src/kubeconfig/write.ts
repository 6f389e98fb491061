import { mkdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf, Failure, reasonOf, usageFailure } from '../failure.ts';
import { replaceFile } from '../replace-file.ts';
import { type Edits, withEdits } from './edit.ts';
import { readFile } from './files.ts';

/**
 * Edits a file of the kubeconfig. kubectl and this command do not write it at the same time.
 *
 * @throws Failure when it can't be done; then the file is as it was
 */
export function editFile(path: string, edits: Edits): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    using _ = lock(path);
    const before = readFile(path);
    const text = withEdits(before, edits);
    if (text !== before.text) write(path, text);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw usageFailure(`cannot write the kubeconfig ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** kubectl's own lock: `lockFile` of k8s.io/client-go/tools/clientcmd. */
function lock(path: string): Disposable {
  const file = `${path}.lock`;
  try {
    writeFileSync(file, '', { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    throw usageFailure(
      `cannot write the kubeconfig ${path}: ${file} exists, so kubectl is writing it. Run this again; if that file stays, delete it`,
    );
  }
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
}

/** A link stays a link, and the file keeps its rights. A new one is for its user alone. */
function write(path: string, text: string): void {
  const existing = statSync(path, { throwIfNoEntry: false });
  const target = existing === undefined ? path : realpathSync(path);
  replaceFile(target, text, existing === undefined ? 0o600 : existing.mode & 0o777);
}
