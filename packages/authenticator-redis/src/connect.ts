import type { PluginContext } from '@sallyport/authenticator';
import { watchTlsFiles } from '@sallyport/authenticator/options';
import { type Connection, openConnection } from './connection/connection.ts';
import type { ConnectionOptions } from './connection/types.ts';

/** Connects, and follows the TLS files. @throws Error when one of them can't be used */
export async function connect(options: ConnectionOptions, context: PluginContext): Promise<Connection> {
  const { logger, metrics, signal } = context;
  let connection: Connection | undefined;
  const tls = await watchTlsFiles(options.tls, context, () => connection?.renew());
  const { secure } = options.servers;
  const dependencies = { tls: () => (secure ? tls() : undefined), logger, metrics, random: Math.random };
  connection = await openConnection(options, dependencies, signal);
  return connection;
}
