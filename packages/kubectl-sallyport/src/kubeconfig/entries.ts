import { readExtension } from '../exec-credential.ts';
import { exitCodes, Failure } from '../failure.ts';
import { isObject } from '../text.ts';
import {
  entriesByName,
  findKubeconfigEntry,
  type KubeconfigFile,
  parseKubeconfig,
} from './files.ts';

export type OwnContext = ReturnType<typeof ownContexts>[number];

/**
 * Lists the contexts that use this command, with its arguments behind `token`. One without `config`
 * has everything in its arguments.
 */
export function ownContexts(files: readonly KubeconfigFile[]) {
  const [users, clusters] = [entriesByName(files, 'users'), entriesByName(files, 'clusters')];
  return [...entriesByName(files, 'contexts').values()].flatMap(({ name, value: context }) => {
    const words = readArguments(users.get(context.user)?.value.exec);
    const cluster = clusters.get(context.cluster);
    return words === undefined
      ? []
      : [{ name, words, config: readExtension(cluster?.value.extensions) }];
  });
}

/**
 * Returns the arguments that kubectl gives to this command for the `exec` of a user.
 *
 * @returns undefined when the `exec` starts another command, or none
 */
export function readArguments(exec: unknown): readonly string[] | undefined {
  if (!isObject(exec) || typeof exec.command !== 'string' || !Array.isArray(exec.args)) return;
  const [subcommand, ...words]: readonly unknown[] = exec.args;
  const isOwn =
    /(^|[/\\])kubectl-sallyport(\.exe|\.cmd)?$/.test(exec.command) && subcommand === 'token';
  return isOwn ? words.filter((word) => typeof word === 'string') : undefined;
}

/** Makes a kubeconfig user whose credentials come from this command. @param words come behind `token` */
export function execUser(words: readonly string[]): object {
  return {
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'kubectl-sallyport',
      args: ['token', ...words],
      interactiveMode: 'IfAvailable',
      provideClusterInfo: true,
      installHint:
        'kubectl-sallyport is not in a folder of PATH. Ask your administrators for the program or its package',
    },
  };
}

/**
 * Reads from the login server's kubeconfig where a cluster is, and the CA of the login server. It ignores users and contexts: a user
 * there could name any program. @param source names the server in messages
 */
export function readClusterData(text: string, name: string, source: string) {
  const cluster = findCluster(text, name);
  const server = cluster?.server;
  if (
    typeof server !== 'string' ||
    !URL.canParse(server) ||
    new URL(server).protocol !== 'https:'
  ) {
    throw new Failure(
      `${source}: its kubeconfig has no https server for cluster ${name}`,
      'ask your administrator',
      { exitCode: exitCodes.unavailable },
    );
  }
  const texts = ['certificate-authority-data', 'tls-server-name'].flatMap((key) => {
    const value = cluster?.[key];
    return typeof value === 'string' ? [[key, value]] : [];
  });
  return {
    data: { server, ...Object.fromEntries(texts) },
    ca: readExtension(cluster?.extensions)?.ca,
  };
}

/** Finds a cluster. @returns undefined even when the text is not YAML, or several documents */
function findCluster(text: string, name: string) {
  try {
    const document = parseKubeconfig(text);
    return document.errors.length > 0
      ? undefined
      : findKubeconfigEntry([{ path: '', text, document }], 'clusters', name)?.value;
  } catch {
    // An alias refers to nothing, or there are too many of them.
    return;
  }
}
