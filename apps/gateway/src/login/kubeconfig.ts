import { stringify } from 'yaml';
import type { LoginConfig } from '../config/types.ts';

/** Writes a kubeconfig without secrets: kubectl asks `kubectl-sallyport` for the token. @returns undefined for an unknown cluster */
export function writeKubeconfig(
  { publicUrl, clusters }: Pick<LoginConfig, 'publicUrl' | 'clusters'>,
  name: string,
  { login, cluster }: Readonly<Record<'login' | 'cluster', string | undefined>>,
): string | undefined {
  const target = Object.hasOwn(clusters, name) ? clusters[name] : undefined;
  if (target === undefined) return undefined;
  // kubectl passes it to the credential plugin (KEP-541): where to log in, and for which cluster.
  const extension = {
    login: publicUrl,
    cluster: name,
    audience: target.audience,
    ...(login && { ca: login }),
  };
  const place = {
    server: target.server,
    ...(cluster && { 'certificate-authority-data': Buffer.from(cluster).toString('base64') }),
    extensions: [{ name: 'client.authentication.k8s.io/exec', extension }],
  };
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'kubectl-sallyport',
    args: ['token'],
    interactiveMode: 'IfAvailable',
    provideClusterInfo: true,
    installHint:
      'kubectl-sallyport is not in a folder of PATH. Ask your administrators for the program or its package',
  };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: place }],
    contexts: [{ name, context: { cluster: name, user: 'sallyport' } }],
    users: [{ name: 'sallyport', user: { exec } }],
  });
}
