import type { PluginContext, TokenIssuer } from '@sallyport/authenticator';
import { RedisProblem } from '@sallyport/redis-connection';
import type { RedisOptions } from '../options.ts';
import { openStore } from '../store.ts';
import { createToken } from './create-token.ts';
import { listSessions, listTokens } from './list-tokens.ts';
import { deleteToken, revokeTokens } from './revoke-tokens.ts';

/**
 * Creates, lists and revokes tokens, as the user of `options.admin`.
 *
 * @param now milliseconds since 1970
 */
export async function createRedisTokenIssuer(
  options: RedisOptions,
  context: PluginContext,
  now: () => number = Date.now,
): Promise<TokenIssuer> {
  const store = await openStore(options, options.admin, context, now);
  const tracksLastUse = options.trackLastUse !== undefined;
  return {
    create: (request, signal) => createToken(request, store, options.token, signal).catch(throwWithFix),
    list: (filter, signal) => {
      const { sessions, username } = filter;
      const isIndexed = sessions === true && username !== undefined;
      return withFix(
        isIndexed ? listSessions(username, store, signal) : listTokens(filter, store, tracksLastUse, signal),
      );
    },
    revoke: (selection, revocation, signal) => withFix(revokeTokens(selection, revocation, store, signal)),
    delete: (token, signal) => deleteToken(token, store, signal).catch(throwWithFix),
    close: () => store.connection.close(),
  };
}

async function* withFix<T>(work: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* work;
  } catch (error) {
    throwWithFix(error);
  }
}

function throwWithFix(error: unknown): never {
  if (!(error instanceof RedisProblem) || error.kind !== 'permission') throw error;
  throw new RedisProblem('permission', `${error.message}; options.admin may name another user for this command`);
}
