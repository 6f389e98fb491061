import type { Authenticator, PluginContext } from '@sallyport/authenticator';
import { connect } from '@sallyport/redis-connection';
import { checkServers } from './check.ts';
import { decide } from './decide.ts';
import { keysOf } from './keys.ts';
import { lookUp, type Source } from './look-up.ts';
import type { RedisOptions } from './options/types.ts';
import { layouts } from './record/layouts.ts';
import { digestToken } from './token/digest.ts';
import { tokenShape } from './token/shape.ts';
import { createUseNotes } from './use-notes.ts';
import { wording } from './wording.ts';

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
  const connection = await connect(options.connection, wording, context);
  const { unknown, trackLastUse } = options;
  const keys = keysOf(options.keyPrefix);
  const source: Source = { connection, layout: layouts[options.layout], keys, now };
  const { logger } = context;
  const noteUse =
    trackLastUse === undefined ? undefined : createUseNotes(trackLastUse, { connection, keys, logger, now });
  return {
    ...(shape.prefix !== undefined && { tokenPrefix: shape.prefix }),
    recognizes: shape.matches,
    async authenticate(token, { signal }) {
      signal.throwIfAborted();
      if (!shape.matches(token)) return { kind: 'no-opinion' };
      const digest = digestToken(token);
      const found = await lookUp(digest, source, signal);
      if (found === undefined) {
        return unknown === 'rejected' ? { kind: 'rejected', reason: 'invalid-credentials' } : { kind: 'no-opinion' };
      }
      const decision = decide(found.record, found.keyExpiresAt, now());
      if (decision.kind === 'authenticated') noteUse?.(digest, decision.expiresAt?.getTime());
      return decision;
    },
    check: (signal) => checkServers(source, noteUse !== undefined, signal),
    close: () => connection.close(),
  };
}
