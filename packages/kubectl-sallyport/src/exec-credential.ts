import { usageFailure } from './failure.ts';
import { isObject, parseObject } from './text.ts';

/** All versions have the fields that are used here. */
const versions = [
  'client.authentication.k8s.io/v1',
  'client.authentication.k8s.io/v1beta1',
] as const;

/**
 * kubectl hands this over as `spec.cluster.config`. It is the extension of the cluster in the
 * kubeconfig, as `init` writes it.
 */
export interface ClusterConfig {
  /** The URL of the login server. */
  readonly login: string;
  /** The name that the login server gives to the cluster. */
  readonly cluster: string;
  /** The CAs of the login server (PEM). Defaults to the CAs of Node and of the system. */
  readonly ca?: string | undefined;
}

/** kubectl hands the extension of this name to credential plugins. */
export const extensionName = 'client.authentication.k8s.io/exec';

/**
 * Reads KUBERNETES_EXEC_INFO. `interactive`: standard input is the user's terminal, and no one else reads it. `config` is undefined without
 * `provideClusterInfo: true`, and when the cluster has no extension of ours. `server` is where kubectl sends the token.
 *
 * @returns undefined when it is not set: then a user has started the command
 * @see https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
 */
export function readExecInfo(text: string | undefined) {
  if (!text) return;
  const info = parseObject(text);
  if (info?.kind !== 'ExecCredential') {
    throw usageFailure(
      'KUBERNETES_EXEC_INFO: it is not JSON, or not an ExecCredential',
      'let kubectl set it, and do not set it by hand',
    );
  }
  const version = versions.find((supported) => supported === info.apiVersion);
  if (version === undefined) {
    throw usageFailure(
      'KUBERNETES_EXEC_INFO: apiVersion is not supported',
      `in the kubeconfig, set the user's exec.apiVersion to ${versions[0]}`,
    );
  }
  const spec = isObject(info.spec) ? info.spec : {};
  const cluster = isObject(spec.cluster) ? spec.cluster : {};
  return {
    version,
    interactive: spec.interactive === true,
    config: readClusterConfig(cluster.config),
    server: typeof cluster.server === 'string' ? cluster.server : undefined,
  };
}

/** Reads what kubectl hands over of a cluster from its `extensions`. */
export function readExtension(extensions: unknown): ClusterConfig | undefined {
  if (!Array.isArray(extensions)) return;
  const extension = extensions.filter(isObject).find(({ name }) => name === extensionName);
  return readClusterConfig(extension?.extension);
}

/** Reads an extension. @returns undefined when there is nothing, or only what belongs to another credential plugin */
function readClusterConfig(config: unknown): ClusterConfig | undefined {
  if (!isObject(config) || typeof config.login !== 'string' || typeof config.cluster !== 'string')
    return;
  const { login, cluster, ca } = config;
  return { login, cluster, ...(typeof ca === 'string' && ca !== '' && { ca }) };
}

/** Writes what kubectl reads. @param end milliseconds since 1970: kubectl asks again after it, but never before */
export function execCredential(version: string = versions[0], token: string, end: number): string {
  const expirationTimestamp = new Date(end).toISOString().replace(/\.\d+Z$/, 'Z');
  const status = { token, expirationTimestamp };
  return `${JSON.stringify({ apiVersion: version, kind: 'ExecCredential', status })}\n`;
}
