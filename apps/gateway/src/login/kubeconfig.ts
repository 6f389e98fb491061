import { stringify } from 'yaml';
import type { LoginConfig } from '../config/types.ts';

/** kubectl hands what is here to the credential plugin (KEP-541): where to log in, and for which cluster. */
const extensionName = 'client.authentication.k8s.io/exec';

/**
 * Writes a kubeconfig without secrets: kubectl asks `kubectl-sallyport` for the token. One user entry serves all clusters.
 *
 * @param authorities PEM. Undefined: clients know the CA
 * @returns undefined for a cluster that is not in the config
 */
export function writeKubeconfig(
  { publicUrl, clusters }: Pick<LoginConfig, 'publicUrl' | 'clusters'>,
  name: string,
  { login, cluster }: Readonly<Record<'login' | 'cluster', string | undefined>>,
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
