import type { PluginContext } from '@sallyport/authenticator';
import { watchTlsFiles } from '@sallyport/plugin-options';
import { type Connection, openConnection } from './connection.ts';
import type { ConnectionOptions, Wording } from './types.ts';

/** What of a plugin's context a connection needs. */
export type ConnectionContext = Pick<PluginContext, 'logger' | 'metrics' | 'signal' | 'watchFile'>;

/** Connects, and follows the TLS files. @throws Error when one of them can't be used */
export async function connect(
  options: ConnectionOptions,
  wording: Wording,
  context: ConnectionContext,
): Promise<Connection> {
  const { logger, metrics, signal } = context;
  let connection: Connection | undefined;
  const tls = await watchTlsFiles(options.tls, context, () => connection?.renew());
  const { secure } = options.servers;
  const dependencies = { tls: () => (secure ? tls() : undefined), logger, metrics, random: Math.random, wording };
  connection = await openConnection(options, dependencies, signal);
  return connection;
}
