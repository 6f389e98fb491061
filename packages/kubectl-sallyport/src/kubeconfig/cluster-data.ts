import { parse } from 'yaml';
import { type ClusterConfig, extensionName, readClusterConfig } from '../exec-credential.ts';
import { exitCodes, Failure } from '../failure.ts';
import { isObject } from '../json.ts';

/** What is taken of a kubeconfig of the login server. Its users and contexts are not: a user there could name any program. */
export interface ClusterData {
  readonly server: string;
  readonly 'certificate-authority-data'?: string;
  readonly 'tls-server-name'?: string;
}

interface FromServer {
  readonly data: ClusterData;
  /** The CA of the login server, as it says itself. */
  readonly ca: string | undefined;
}

/**
 * Takes the data of a cluster from the login server's kubeconfig.
 *
 * @param source the server, for messages
 * @throws Failure when something is missing, or is not what it should be
 */
export function readClusterData(text: string, name: string, source: string): FromServer {
  const found = clusterOf(text, name);
  const server = found?.server;
  if (typeof server !== 'string' || !URL.canParse(server) || new URL(server).protocol !== 'https:') {
    throw new Failure(
      `${source}: its kubeconfig has no https server for cluster ${name}. Ask your administrator`,
      exitCodes.unavailable,
    );
  }
  const authority = found?.['certificate-authority-data'];
  const serverName = found?.['tls-server-name'];
  const data: ClusterData = {
    server,
    ...(typeof authority === 'string' && { 'certificate-authority-data': authority }),
    ...(typeof serverName === 'string' && { 'tls-server-name': serverName }),
  };
  const list: unknown = found?.extensions;
  const extension = Array.isArray(list) ? list.filter(isObject).find((one) => one.name === extensionName) : undefined;
  return { data, ca: readClusterConfig(extension?.extension)?.ca };
}

function clusterOf(text: string, name: string): Readonly<Record<string, unknown>> | undefined {
  let content: unknown;
  try {
    content = parse(text);
  } catch {
    return;
  }
  const list: unknown = isObject(content) ? content.clusters : undefined;
  const entry = Array.isArray(list) ? list.filter(isObject).find((one) => one.name === name) : undefined;
  return isObject(entry?.cluster) ? entry.cluster : undefined;
}

/** A cluster of the kubeconfig that kubectl hands to this command. */
export function withExtension(data: ClusterData, extension: ClusterConfig): object {
  return { ...data, extensions: [{ name: extensionName, extension }] };
}

/** A user of the kubeconfig for whom kubectl runs this command. @param words behind `token` */
export function execUser(words: readonly string[]): object {
  return {
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'kubectl-sallyport',
      args: ['token', ...words],
      interactiveMode: 'IfAvailable',
      provideClusterInfo: true,
      installHint: 'kubectl-sallyport is missing. To install it: npm install -g kubectl-sallyport',
    },
  };
}
