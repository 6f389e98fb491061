import type { IssuerUses, PluginContext, TokenIssuer } from '@sallyport/authenticator';
import { RedisProblem } from '@sallyport/redis-connection';
import type { RedisOptions } from '../options.ts';
import { openStore, type Store } from '../store.ts';
import { checkIssuer } from './check-issuer.ts';
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
    create: (request, signal) =>
      createToken(request, store, options.token, signal).catch(throwWithFix),
    list: (filter, signal) => {
      const { sessions, username } = filter;
      const isIndexed = sessions === true && username !== undefined;
      return withFix(
        isIndexed
          ? listSessions(username, store, signal)
          : listTokens(filter, store, tracksLastUse, signal),
      );
    },
    revoke: (selection, revocation, signal) =>
      withFix(revokeTokens(selection, revocation, store, signal)),
    delete: (token, signal) => deleteToken(token, store, signal).catch(throwWithFix),
    check: (uses, signal) => checkRights(uses, options, store, signal),
    close: () => store.connection.close(),
  };
}

/** Checks the rights. The config of a gateway that only reads may lack a user for the commands: that is not an error. */
async function checkRights(
  uses: IssuerUses,
  options: RedisOptions,
  store: Store,
  signal: AbortSignal,
) {
  try {
    return await checkIssuer(uses, store, options.trackLastUse !== undefined, signal);
  } catch (error) {
    const isReaderAlone = !uses.sessions && options.admin === options.connection;
    if (!isReaderAlone || !(error instanceof RedisProblem) || error.kind !== 'permission')
      throwWithFix(error);
    return [
      'some of `token create`, `token list` and `revoke` fail with this config, and it is unknown whether this Redis keeps its tokens: ' +
        `${error.message}; options.admin may name another user for them`,
    ];
  }
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
  throw new RedisProblem(
    'permission',
    `${error.message}; options.admin may name another user for this command`,
  );
}
