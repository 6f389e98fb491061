import type { Authenticator, PluginContext } from '@sallyport/authenticator';
import { watchTlsFiles } from '@sallyport/authenticator/options';
import { checkServers } from './check.ts';
import { type Connection, openConnection } from './connection/connection.ts';
import type { ConnectionOptions } from './connection/types.ts';
import { decide } from './decide.ts';
import { lookUp, type Source } from './look-up.ts';
import type { RedisOptions } from './options/types.ts';
import { layouts } from './record/layouts.ts';
import { digestToken } from './token/digest.ts';
import { tokenShape } from './token/shape.ts';

/**
 * Looks tokens up by their digest.
 *
 * @param now milliseconds since 1970
 * @throws Error when a TLS file can't be used
 */
export async function createRedisAuthenticator(
  options: RedisOptions,
  context: PluginContext,
  now: () => number = Date.now,
): Promise<Authenticator> {
  const shape = tokenShape(options.token);
  const connection = await connect(options.connection, context);
  const { keyPrefix, unknown } = options;
  const source: Source = { connection, layout: layouts[options.layout], keyPrefix, now };
  return {
    ...(shape.prefix !== undefined && { tokenPrefix: shape.prefix }),
    recognizes: shape.matches,
    async authenticate(token, { signal }) {
      signal.throwIfAborted();
      if (!shape.matches(token)) return { kind: 'no-opinion' };
      const found = await lookUp(digestToken(token), source, signal);
      if (found !== undefined) return decide(found.record, found.keyExpiresAt, now());
      return unknown === 'rejected' ? { kind: 'rejected', reason: 'invalid-credentials' } : { kind: 'no-opinion' };
    },
    check: (signal) => checkServers(source, signal),
    close: () => connection.close(),
  };
}

/** Connects, and follows the TLS files. @throws Error when one of them can't be used */
export async function connect(options: ConnectionOptions, context: PluginContext): Promise<Connection> {
  const { logger, metrics, signal } = context;
  let connection: Connection | undefined;
  const tls = await watchTlsFiles(options.tls, context, () => connection?.renew());
  const { secure } = options.servers;
  connection = await openConnection(
    options,
    { tls: () => (secure ? tls() : undefined), logger, metrics, random: Math.random },
    signal,
  );
  return connection;
}
