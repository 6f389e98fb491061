import { usageFailure } from './failure.ts';
import { isObject } from './json.ts';

/** The versions have the same fields, as far as they are used here. */
const versions = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'] as const;

type Version = (typeof versions)[number];

/** kubectl's `spec.cluster.config`: the extension of the cluster in the kubeconfig, as `init` writes it. */
export interface ClusterConfig {
  /** The URL of the login server. */
  readonly login: string;
  /** The name that the login server gives to the cluster. */
  readonly cluster: string;
  /** The CAs of the login server (PEM). Left out: those of Node and of the system. */
  readonly ca?: string;
}

/** What kubectl, or another client, asks for. */
export interface ExecInfo {
  readonly version: Version;
  /** True: standard input is the user's terminal, and no one else reads it. */
  readonly interactive: boolean;
  /** Missing without `provideClusterInfo: true`, and when the cluster has no extension of ours. */
  readonly config?: ClusterConfig;
}

/** The name of the extension that kubectl hands to credential plugins. */
export const extensionName = 'client.authentication.k8s.io/exec';

/**
 * Reads KUBERNETES_EXEC_INFO.
 *
 * @returns undefined when it is not set: then a user has started the command
 * @throws Failure when it can't be used
 * @see https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
 */
export function readExecInfo(text: string | undefined): ExecInfo | undefined {
  if (!text) return;
  const info = parse(text);
  const version = versions.find((one) => one === info.apiVersion);
  if (version === undefined) {
    throw usageFailure(
      `KUBERNETES_EXEC_INFO: apiVersion is not supported. In the kubeconfig, set the user's exec.apiVersion to ${versions[0]}`,
    );
  }
  const spec = isObject(info.spec) ? info.spec : {};
  const cluster = isObject(spec.cluster) ? spec.cluster : {};
  const config = readClusterConfig(cluster.config);
  return { version, interactive: spec.interactive === true, ...(config && { config }) };
}

function parse(text: string): Readonly<Record<string, unknown>> {
  let info: unknown;
  try {
    info = JSON.parse(text);
  } catch (cause) {
    throw usageFailure('KUBERNETES_EXEC_INFO: it is not JSON. It is set by kubectl, and should not be set by hand', {
      cause,
    });
  }
  if (isObject(info) && info.kind === 'ExecCredential') return info;
  throw usageFailure(
    'KUBERNETES_EXEC_INFO: it is no ExecCredential. It is set by kubectl, and should not be set by hand',
  );
}

/** @returns undefined when there is nothing, or only what belongs to another credential plugin */
export function readClusterConfig(config: unknown): ClusterConfig | undefined {
  if (!isObject(config) || typeof config.login !== 'string' || typeof config.cluster !== 'string') return;
  const { login, cluster, ca } = config;
  return { login, cluster, ...(typeof ca === 'string' && ca !== '' && { ca }) };
}

/**
 * Writes what kubectl reads from standard output.
 *
 * @param end milliseconds since 1970: kubectl asks again after it, but never before
 */
export function execCredential(version: Version | undefined, token: string, end: number): string {
  const expirationTimestamp = new Date(end).toISOString().replace(/\.\d+Z$/, 'Z');
  const status = { token, expirationTimestamp };
  return `${JSON.stringify({ apiVersion: version ?? versions[0], kind: 'ExecCredential', status })}\n`;
}
