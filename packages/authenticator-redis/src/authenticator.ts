import type { Authenticator, PluginContext } from '@sallyport/authenticator';
import { checkServers } from './check.ts';
import { decide } from './decide.ts';
import { createSessionExtender } from './idle-sessions.ts';
import { lookUp } from './look-up.ts';
import type { RedisOptions } from './options.ts';
import { openStore } from './store.ts';
import { digestToken, tokenShape } from './token.ts';
import { createUseNotes } from './use-notes.ts';

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
  const store = await openStore(options, options.connection, context, now);
  const { unknown, trackLastUse } = options;
  const noteUse = trackLastUse === undefined ? undefined : createUseNotes(trackLastUse, store, context.logger);
  const extendSession = createSessionExtender(store, context.logger);
  return {
    ...(shape.prefix !== undefined && { tokenPrefix: shape.prefix }),
    recognizes: shape.matches,
    async authenticate(token, { signal }) {
      signal.throwIfAborted();
      if (!shape.matches(token)) return { kind: 'no-opinion' };
      const digest = digestToken(token);
      const found = await lookUp(digest, store, signal);
      if (found === undefined) {
        return unknown === 'rejected' ? { kind: 'rejected', reason: 'invalid-credentials' } : { kind: 'no-opinion' };
      }
      const decision = decide(found.record, found.keyExpiresAt, now());
      if (decision.kind === 'authenticated') {
        extendSession(digest, found);
        noteUse?.(digest, decision.expiresAt?.getTime());
      }
      return decision;
    },
    check: (signal) => checkServers(store, noteUse !== undefined, signal),
    close: () => store.connection.close(),
  };
}
