import { createServer } from 'node:net';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig, ListenAddress } from '../config/types.ts';
import { authority, listen } from '../server/listen.ts';
import type { Finding } from './finding.ts';

/** Whether the gateway could listen where the config says. A warning: it may be the gateway itself that runs there. */
export async function checkAddresses({ server, admin }: Pick<GatewayConfig, 'server' | 'admin'>): Promise<Finding[]> {
  const [ofServer, ofAdmin] = await Promise.all([
    tryAddress('server.listen', server.listen),
    tryAddress('admin.listen', admin.listen),
  ]);
  return [...ofServer, ...ofAdmin];
}

async function tryAddress(setting: string, address: ListenAddress): Promise<Finding[]> {
  const server = createServer();
  try {
    await listen(server, address, setting);
    return [];
  } catch (error) {
    return [{ check: setting, result: 'warning', detail: explain(error, address) }];
  } finally {
    server.close();
  }
}

function explain(error: unknown, { host, port }: ListenAddress): string {
  const { code } = (error instanceof Error ? error.cause : undefined) as { readonly code?: unknown };
  if (code !== 'EADDRINUSE') return causeOf(error);
  return (
    `${authority(host, port)} is in use: if that is not this gateway, which runs already, stop the other process ` +
    'or take another port'
  );
}
