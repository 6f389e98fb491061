import { stringify } from 'yaml';
import type { LoginConfig } from '../config/types.ts';

/** What a kubeconfig is made of besides the config. */
export interface Authorities {
  /** PEM. Left out: clients know the CA. */
  readonly login?: string | undefined;
  readonly cluster?: string | undefined;
}

/** kubectl hands what is here to the credential plugin (KEP-541): where to log in, and for which cluster. */
const extensionName = 'client.authentication.k8s.io/exec';

/**
 * Writes a kubeconfig without secrets: kubectl asks `kubectl-sallyport` for the token. One user entry serves all clusters.
 *
 * @returns undefined for a cluster that is not in the config
 */
export function writeKubeconfig(
  { publicUrl, clusters }: Pick<LoginConfig, 'publicUrl' | 'clusters'>,
  name: string,
  { login, cluster }: Authorities,
): string | undefined {
  const known = Object.hasOwn(clusters, name) ? clusters[name] : undefined;
  if (known === undefined) return undefined;
  const extension = { login: publicUrl, cluster: name, audience: known.audience, ...(login && { ca: login }) };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      {
        name,
        cluster: {
          server: known.server,
          ...(cluster && { 'certificate-authority-data': Buffer.from(cluster).toString('base64') }),
          extensions: [{ name: extensionName, extension }],
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: 'sallyport' } }],
    users: [
      {
        name: 'sallyport',
        user: {
          exec: {
            apiVersion: 'client.authentication.k8s.io/v1',
            command: 'kubectl-sallyport',
            args: ['token'],
            interactiveMode: 'IfAvailable',
            provideClusterInfo: true,
            installHint: 'kubectl-sallyport is missing. To install it: npm install -g kubectl-sallyport',
          },
        },
      },
    ],
  });
}
