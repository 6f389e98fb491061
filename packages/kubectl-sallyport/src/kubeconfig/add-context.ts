import { type ClusterConfig, extensionName, extensionOf } from '../exec-credential.ts';
import { usageFailure } from '../failure.ts';
import { editFile, type KubeconfigEntry } from './edit.ts';
import { argumentsOf, execUser } from './entries.ts';
import {
  currentContext,
  entriesOf,
  fileForNew,
  findKubeconfigEntry,
  type Kind,
  type KubeconfigFile,
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
 * @returns the file that has it, whether it was there, and the current context before
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
  const before = currentContext(files);
  const path = fileForNew(paths);
  const homeOf = (kind: Kind, name: string) =>
    files.find((file) => entriesOf(file, kind).some((entry) => entry.name === name))?.path ?? path;
  const homeOfCurrent = files.find((file) => currentContext([file]) !== undefined)?.path ?? path;
  for (const each of new Set(paths)) {
    const own = entries.filter(({ kind, name }) => homeOf(kind, name) === each);
    const current = makeCurrent && homeOfCurrent === each ? context : undefined;
    if (own.length > 0 || current !== undefined)
      editFile(each, { entries: own, currentContext: current });
  }
  return { path: homeOf('contexts', context), isNew: old === undefined, before };
}

function refuseForeign(
  files: readonly KubeconfigFile[],
  context: string,
  clusterName: string,
  userName: string,
): void {
  const cluster = findKubeconfigEntry(files, 'clusters', clusterName);
  if (cluster !== undefined && extensionOf(cluster.value.extensions) === undefined)
    throw inUse('cluster', clusterName);
  const user = findKubeconfigEntry(files, 'users', userName);
  if (user !== undefined && argumentsOf(user.value.exec) === undefined)
    throw inUse('user', userName);
  const found = findKubeconfigEntry(files, 'contexts', context);
  if (found === undefined) return;
  if (found.value.cluster !== clusterName || found.value.user !== userName) {
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
