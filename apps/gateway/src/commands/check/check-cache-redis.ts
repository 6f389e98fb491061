import { randomBytes } from 'node:crypto';
import { readValue, stringUpTo } from '@sallyport/redis-connection';
import { printable } from '../../base/logging/printable.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { selectBlocks } from '../../engine/revocation/list.ts';
import { isWholeList, type Listing, readListing } from '../../engine/revocation/redis-list.ts';
import { countsFor, readReplicas } from '../../engine/revocation/replicas.ts';
import { pollScript, revocationKeys } from '../../engine/revocation/scripts.ts';
import type { ProbedRedis, RedisUse } from '../../engine/shared-redis/shared-redis.ts';
import { changeScript, putScript, takeScript } from '../../login/attempts/pending-logins.ts';
import { unreadableRemark } from '../blocks/remarks.ts';
import { withCacheRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import { type Findings, ok, toError, warning } from '../finding.ts';
import { roundedDuration } from '../times.ts';
import { evictionProblems, luaProblems, readServers } from './redis-info.ts';

/** Reaches the Redis that all replicas share, and tries what the gateway does there. */
export async function checkCacheRedis(
  context: CommandContext,
  config: Pick<GatewayConfig, 'cache' | 'baseDirectory' | 'login'>,
): Promise<Findings> {
  if (config.cache.redis === undefined) return [];
  const look = async (redis: ProbedRedis): Promise<Findings> => {
    const listing = await readListing(redis);
    await tryRights(redis);
    if (config.login?.browser) await tryLogin(redis);
    const problems = [
      ...unreadableRemark(listing.unreadable).map((remark) => toError(remark)),
      ...checkList(listing, config.cache.redis?.startWithoutBlocks === true),
      ...checkKeys(await readReplicas(redis)),
      ...checkClock(listing.now, context.now()),
      ...(await checkPolicy(redis)),
      ...(await luaProblems(redis, 'cache')),
    ];
    const blocks = selectBlocks(listing).length;
    const state = blocks === 0 ? 'no one is blocked' : `blocks in force: ${blocks}`;
    return problems.length === 0 ? ok(`reached and writable; ${state}`) : problems;
  };
  return await withCacheRedis(context, config, look);
}

/** Runs the commands of the lockout guard's scripts, and of the scripts that note which answers a user has. Its one key is a hash. */
const hashScript = `
redis.call('HSET', KEYS[1], 'check', '')
redis.call('PEXPIRE', KEYS[1], 60000)
return { redis.call('TIME'), redis.call('HLEN', KEYS[1]), redis.call('HGETALL', KEYS[1]), redis.call('HDEL', KEYS[1], 'check') }`;

/**
 * Tries each right that the gateway needs. It uses separate keys, and removes them immediately: no gateway and no command may take this
 * for a replica. The keys are as long as real ones, since a message about missing rights shows the pattern of such keys.
 */
async function tryRights(redis: ProbedRedis): Promise<void> {
  const id = `check-${randomBytes(16).toString('hex')}`;
  const key = `${redis.keyPrefix}cache:${id}`;
  const { revision, list, replicas } = revocationKeys(redis.keyPrefix);
  const ownReplicas = replicas.replace(/replicas$/, id);
  const tryHash = (use: RedisUse, hash: string) =>
    redis.probe(use, (client) => client.eval(hashScript, 1, hash));
  await redis.probe('cache', (client) => client.set(key, '', 'PX', 60_000));
  await redis.probe('cache', (client) => readValue(client, stringUpTo(0), key));
  await redis.probe('cache', (client) => client.del(key));
  await tryHash('cache', `${redis.keyPrefix}cache-user:${id}`);
  // The poll script goes on when it can't write, since it must read in any case. So the right to write is tried here.
  await redis.probe('revocations', (client) => client.hset(ownReplicas, id, ''));
  await redis.probe('revocations', (client) =>
    client.eval(pollScript, 3, revision, list, ownReplicas, id, ''),
  );
  await redis.probe('revocations', (client) => client.hdel(ownReplicas, id));
  await tryHash('lockout', `${redis.keyPrefix}lockout:{${id}}`);
}

/** Runs the commands of logins in a browser, on a separate key that expires. */
async function tryLogin(redis: ProbedRedis): Promise<void> {
  const key = `${redis.keyPrefix}cache-login:check-${randomBytes(16).toString('hex')}`;
  await redis.probe('login', (client) => client.eval(putScript, 1, key, '', 60_000));
  await redis.probe('login', (client) => client.eval(changeScript, 1, key, '', ''));
  await redis.probe('login', (client) => client.eval(takeScript, 1, key, ''));
  await redis.probe('login', (client) => readValue(client, stringUpTo(0), key));
  await redis.probe('login', (client) => client.del(key));
}

/** Warns if gateways that start would not know who is blocked. */
function checkList(
  { revision }: Pick<Listing, 'revision'>,
  startsWithoutBlocks: boolean,
): Findings {
  if (isWholeList(revision) || startsWithoutBlocks) return [];
  const problem = 'it has no revocation list, since it is new or lost its data';
  return warning(
    'revocation-list',
    `${problem}: gateways that start let no one in until one that ran before reaches it`,
    'if this Redis is new, start a gateway, and run: sallyport revoke --all',
  );
}

/** Finds gateways with other sealing keys: each seals its report with its first key, and this config can't open it. */
function checkKeys({ now, replicas }: Awaited<ReturnType<typeof readReplicas>>): Findings {
  const effect = 'a block that one of them writes has no effect on the other';
  return replicas
    .filter(({ heardAt, applied }) => applied === undefined && now - heardAt <= countsFor)
    .map(({ id }) => ({
      result: 'error',
      detail: `gateway ${printable(id)} has other cache.redis.sealingKeys than this config, so ${effect}`,
      fix: 'give both the same keys',
    }));
}

/** Warns if the clocks differ by more than 30 s. @param redis milliseconds since 1970 at Redis, as `now` is at this host */
export function checkClock(redis: number, now: number): Findings {
  const difference = Math.abs(redis - now);
  // A smaller difference has no effect.
  if (difference <= 30_000) return [];
  const place = redis > now ? 'ahead of' : 'behind';
  return warning(
    'clock',
    `its clock is ${roundedDuration(difference)} ${place} the clock of this host`,
    'synchronize the clocks',
  );
}

async function checkPolicy(redis: ProbedRedis): Promise<Findings> {
  const servers = await readServers(redis, 'cache', 'maxmemory-policy is noeviction');
  const lost = "the revocation list and the lockout guard's counts";
  return 'problem' in servers ? servers.problem : evictionProblems(servers.all, lost);
}
