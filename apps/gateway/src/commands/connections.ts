import { durationText } from '@sallyport/plugin-kit';
import type { Logger } from 'pino';
import { describeError, FixableError, onOneLine, placed } from '../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig, SecondFactorConfig } from '../config/types.ts';
import { createAttempts } from '../engine/lockout/attempts.ts';
import { createRevocationList } from '../engine/revocation/list.ts';
import { isWholeList, type Listing, readListing } from '../engine/revocation/redis-list.ts';
import {
  createRedisPool,
  factorSettings,
  type RedisPool,
} from '../engine/shared-redis/redis-pool.ts';
import type { ProbedRedis, SharedRedis } from '../engine/shared-redis/shared-redis.ts';
import {
  type CreatedAuthenticator,
  closeAuthenticator,
  createAuthenticator,
  createAuthenticators,
} from '../runtime/authenticators.ts';
import type { CommandContext } from './context.ts';
import { printRemark } from './output.ts';

/** The config has no `cache.redis`, without which the command can do nothing. */
export class MissingCacheRedisError extends FixableError {}

/** Requires cache.redis. @throws MissingCacheRedisError when the config has none */
export function needCacheRedis({ cache, file, lockout }: GatewayConfig, command: string): void {
  if (cache.redis !== undefined) return;
  if (command === 'lockouts' || command === 'unlock') {
    throw new MissingCacheRedisError(
      `${command} needs cache.redis, and ${file} has none: each gateway process counts refused attempts in its own memory, ` +
        'which no command reaches',
      `wait for lockout.window (${durationText(lockout.window)}) after the last refused attempt, or restart the gateway`,
    );
  }
  throw new MissingCacheRedisError(
    `${command} needs cache.redis, through which the gateways learn of it, and ${file} has none`,
    'add cache.redis (docs/configuration.md). Until then, revoke issued tokens, disable users in their backend, and restart ' +
      'each gateway to empty its memory',
  );
}

/** Works with the cache Redis. Each call has the time that Redis may take, and not only what it may cost a review. */
export function withCacheRedis<Result>(
  context: CommandContext,
  { cache, baseDirectory }: Pick<GatewayConfig, 'cache' | 'baseDirectory'>,
  work: (redis: ProbedRedis) => Promise<Result>,
): Promise<Result> {
  if (cache.redis === undefined) throw new Error('the config has no cache.redis');
  const { commandTimeout: timeout } = cache.redis.connection;
  return withRedis(context, [{ ...cache.redis, timeout }, baseDirectory], work);
}

/** Works with the Redis of second factors. */
export function withFactorRedis<Result>(
  context: CommandContext,
  { cache, baseDirectory }: Pick<GatewayConfig, 'cache' | 'baseDirectory'>,
  secondFactor: SecondFactorConfig,
  work: (redis: ProbedRedis) => Promise<Result>,
): Promise<Result> {
  return withRedis(context, [factorSettings(secondFactor, cache), baseDirectory, 'factors'], work);
}

async function withRedis<Result>(
  context: CommandContext,
  place: Parameters<RedisPool['acquire']>,
  work: (redis: ProbedRedis) => Promise<Result>,
): Promise<Result> {
  // The level is `error`, since a failure is thrown as well, and then printed as a sentence rather than a line of JSON.
  const logger = await context.createLogger('error');
  const pool = createRedisPool({ logger, onError: () => undefined });
  const lease = await pool.acquire(...place);
  try {
    return await work(lease.redis);
  } finally {
    await lease.release();
  }
}

type CacheConfig = Pick<GatewayConfig, 'cache'>;

/** Reads the revocation list as {@link readBlockList} does. If it can't, it prints a remark, and the list is empty. */
export async function readBlocks(
  context: CommandContext,
  config: CacheConfig,
  redis: ProbedRedis | undefined,
) {
  try {
    if (redis !== undefined)
      return { blocks: await readBlockList(context, config, redis), isRead: true };
  } catch (error) {
    const { message, fix } = describeError(error);
    printRemark(context, `can't read who is blocked or locked out: ${message}`, fix);
  }
  return { blocks: createRevocationList(context.now, context.now), isRead: false };
}

/**
 * Reads the revocation list once, as a gateway of this config would. Prints a remark when it can't open all of it.
 *
 * @throws Error when Redis can't be read
 */
export async function readBlockList(
  context: CommandContext,
  config: CacheConfig,
  redis: ProbedRedis,
) {
  const listing = await readListing(redis);
  const { now, entries, unreadable } = listing;
  const blocks = createRevocationList(() => now, context.now);
  blocks.merge(entries);
  remarkMissingList(context, config, listing);
  if (unreadable.count > 0) {
    const problem = `${unreadable.count} entries of the revocation list can't be opened`;
    printRemark(context, `${problem}, so not all blocks are known`, 'run "sallyport check"');
  }
  return blocks;
}

/**
 * Prints a remark when the list in Redis is not whole: gateways may know of other blocks, and those that start let no one in,
 * unless they begin a list by themselves.
 */
export function remarkMissingList(
  context: CommandContext,
  { cache }: CacheConfig,
  { revision }: Pick<Listing, 'revision'>,
): void {
  if (isWholeList(revision) || cache.redis?.startWithoutBlocks) return;
  const problem = 'the cache Redis has no revocation list, since it is new or lost its data';
  printRemark(context, `${problem}, so not all blocks are known`, 'run "sallyport check"');
}

/**
 * Creates a lockout guard that joins the others as one more replica. It refuses what the running gateways would refuse, and
 * adds nothing to their counts then. A password that is sent and refused counts, since the directory has counted it, too.
 *
 * @param redis left out: the guard has its own counts alone, which is enough for commands that try no password
 */
export function joinAttempts({ lockout }: Pick<GatewayConfig, 'lockout'>, redis?: ProbedRedis) {
  const writes: Promise<unknown>[] = [];
  const shared: SharedRedis | undefined = redis && {
    ...redis,
    get isDown() {
      return redis.isDown;
    },
    send: (use, work) => writes.push(redis.probe(use, work).catch(() => undefined)),
  };
  const attempts = createAttempts(() => lockout, {
    now: () => performance.now(),
    shared: () => shared,
  });
  return { attempts, waitForWrites: () => Promise.all(writes) };
}

/** Works with all authenticators, or with none. @throws ConfigError when one can't be made */
export async function withAuthenticators<Result>(
  config: GatewayConfig,
  logger: Logger,
  work: (created: readonly CreatedAuthenticator[]) => Result | Promise<Result>,
) {
  const { attempts } = joinAttempts(config);
  const created = await createAuthenticators(config, { logger, attempts });
  try {
    return await work(created);
  } finally {
    await Promise.all(created.map((authenticator) => closeAuthenticator(authenticator, logger)));
  }
}

/**
 * Asks each authenticator by itself. If one can't be made, such as when its file is missing, the others still answer.
 *
 * @param answerUnmade makes the answer of an authenticator that can't be made. `problem` names its line in the config
 */
export function askEach<Result>(
  config: GatewayConfig,
  logger: Logger,
  ask: (created: CreatedAuthenticator) => Promise<Result>,
  answerUnmade: (authenticator: AuthenticatorConfig, problem: string) => Result,
): Promise<Result[]> {
  const { attempts } = joinAttempts(config);
  const createAndAsk = async (authenticator: AuthenticatorConfig) => {
    let created: CreatedAuthenticator;
    try {
      created = await createAuthenticator(authenticator, config.baseDirectory, {
        logger,
        attempts,
      });
    } catch (error) {
      return answerUnmade(authenticator, onOneLine(placed(authenticator.problem(error))));
    }
    try {
      return await ask(created);
    } finally {
      await closeAuthenticator(created, logger);
    }
  };
  return Promise.all(config.authenticators.map(createAndAsk));
}
