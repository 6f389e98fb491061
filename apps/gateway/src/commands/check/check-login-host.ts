import { isLoopback } from '@sallyport/plugin-kit';
import type { GatewayConfig } from '../../config/types.ts';
import { type Findings, warning } from '../finding.ts';

/**
 * Warns of API servers on the host name of the login server: cookies know no ports. On a loopback address, someone tries it out.
 */
export function checkLoginHost({ login }: Partial<Pick<GatewayConfig, 'login'>>): Findings {
  if (login?.browser !== true) return [];
  const { hostname } = new URL(login.publicUrl);
  if (isLoopback(hostname.replace(/^\[(.*)\]$/, '$1'))) return [];
  return Object.entries(login.clusters)
    .filter(([, { server }]) => URL.parse(server)?.hostname === hostname)
    .flatMap(([name]) =>
      warning(
        'login-host',
        `login.publicUrl and login.clusters.${name}.server have the same host name (${hostname}): browsers send the cookies of a login to all services on this name, and accept cookies from them`,
        'give the login server a host name that no other service has',
      ),
    );
}
