import type { PluginContext, TokenIssuer } from '@sallyport/authenticator';
import { connect, RedisProblem } from '@sallyport/redis-connection';
import { keysOf } from '../keys.ts';
import type { RedisOptions } from '../options/types.ts';
import { layouts } from '../record/layouts.ts';
import { wording } from '../wording.ts';
import { createToken } from './create-token.ts';
import { listTokens } from './list-tokens.ts';
import { revokeTokens } from './revoke-tokens.ts';
import type { Store } from './store.ts';

/**
 * Makes, lists and revokes tokens, as the user of `options.admin`.
 *
 * @param now milliseconds since 1970
 */
export async function createRedisTokenIssuer(
  options: RedisOptions,
  context: PluginContext,
  now: () => number = Date.now,
): Promise<TokenIssuer> {
  const connection = await connect(options.admin, wording, context);
  const store: Store = {
    connection,
    keys: keysOf(options.keyPrefix),
    layout: layouts[options.layout],
    token: options.token,
    tracksLastUse: options.trackLastUse !== undefined,
    now,
  };
  return {
    create: (request, signal) => explained(createToken(request, store, signal)),
    list: (filter, signal) => explainedEach(listTokens(filter, store, signal)),
    revoke: (selection, revocation, signal) => explainedEach(revokeTokens(selection, revocation, store, signal)),
    close: () => connection.close(),
  };
}

async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw withMend(error);
  }
}

async function* explainedEach<T>(work: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* work;
  } catch (error) {
    throw withMend(error);
  }
}

function withMend(error: unknown): unknown {
  if (!(error instanceof RedisProblem) || error.kind !== 'permission') return error;
  return new RedisProblem('permission', `${error.message}; options.admin may name another user for this command`);
}
