import { type ClusterConfig, extensionName, readExtension } from '../exec-credential.ts';
import { usageFailure } from '../failure.ts';
import { editFile, type KubeconfigEntry } from './edit.ts';
import { execUser, readArguments } from './entries.ts';
import {
  currentContext,
  fileForNew,
  findKubeconfigEntry,
  type Kind,
  type KubeconfigFile,
  listEntries,
  readFile,
} from './files.ts';

/** A context that is added to the kubeconfig. */
export interface NewContext extends ClusterConfig {
  readonly context: string;
  /** The login server says where the cluster is. */
  readonly data: object;
  readonly username: string | undefined;
  /**
   * The arguments say which cluster it is, for clients that do not hand over its data. They are
   * empty for kubectl, which does.
   */
  readonly words: readonly string[];
}

/**
 * Adds a context, or brings it up to date. Nothing that this command has not written is replaced.
 *
 * @returns the file that has it, whether it was there, and the previous current context
 * @throws Failure when a name is in use for something else; then nothing is written
 */
export function addContext(paths: readonly string[], added: NewContext, makeCurrent: boolean) {
  const files = paths.map(readFile);
  const { context, login, cluster, ca, data, username } = added;
  const clusterName = `${cluster}@${new URL(login).host}`;
  const words = [...added.words, ...(username === undefined ? [] : ['--username', username])];
  const account = username === undefined ? '' : `-${username}`;
  const userName =
    added.words.length === 0 ? `sallyport${account}` : `sallyport-${clusterName}${account}`;
  refuseForeign(files, context, clusterName, userName);
  const old = findKubeconfigEntry(files, 'contexts', context);
  const namespace = old?.value.namespace;
  // kubectl hands the extension to this command.
  const extensions = [{ name: extensionName, extension: { login, cluster, ca } }];
  const entries: readonly KubeconfigEntry[] = [
    { kind: 'clusters', name: clusterName, value: { ...data, extensions } },
    { kind: 'users', name: userName, value: execUser(words) },
    {
      kind: 'contexts',
      name: context,
      value: {
        cluster: clusterName,
        user: userName,
        ...(namespace !== undefined && { namespace }),
      },
    },
  ];
  const previousContext = currentContext(files);
  const path = fileForNew(paths);
  const findHome = (kind: Kind, name: string) =>
    files.find((file) => listEntries(file, kind).some((entry) => entry.name === name))?.path ??
    path;
  const homeOfCurrent = files.find((file) => currentContext([file]) !== undefined)?.path ?? path;
  for (const file of new Set(paths)) {
    const ownEntries = entries.filter(({ kind, name }) => findHome(kind, name) === file);
    const current = makeCurrent && homeOfCurrent === file ? context : undefined;
    if (ownEntries.length > 0 || current !== undefined)
      editFile(file, { entries: ownEntries, currentContext: current });
  }
  return { path: findHome('contexts', context), isNew: old === undefined, previousContext };
}

function refuseForeign(
  files: readonly KubeconfigFile[],
  context: string,
  clusterName: string,
  userName: string,
): void {
  const cluster = findKubeconfigEntry(files, 'clusters', clusterName);
  if (cluster !== undefined && readExtension(cluster.value.extensions) === undefined)
    throw inUse('cluster', clusterName);
  const user = findKubeconfigEntry(files, 'users', userName);
  if (user !== undefined && readArguments(user.value.exec) === undefined)
    throw inUse('user', userName);
  const entry = findKubeconfigEntry(files, 'contexts', context);
  if (entry === undefined) return;
  if (entry.value.cluster !== clusterName || entry.value.user !== userName) {
    throw usageFailure(
      `the kubeconfig already has a context ${context} for something else`,
      'choose another name: --context NAME',
    );
  }
}

function inUse(kind: string, name: string): Error {
  return usageFailure(
    `the kubeconfig already has a ${kind} ${name} that is not for kubectl-sallyport`,
    'rename it, or use --kubeconfig NEW_FILE',
  );
}
