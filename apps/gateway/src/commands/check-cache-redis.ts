import { randomBytes } from 'node:crypto';
import { type RedisClient, RedisProblem, readValue, stringUpTo } from '@sallyport/redis-connection';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { blocksIn } from '../revocation/list.ts';
import { type Listing, readListing } from '../revocation/redis-list.ts';
import { pollScript, revocationKeys } from '../revocation/scripts.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { type Finding, fault } from './finding.ts';
import { cacheRedisOf, withCacheRedis } from './stopping/cache-redis.ts';
import { unreadableRemark } from './stopping/confirmation-report.ts';

const check = 'cache Redis';

/** Milliseconds that this host's clock may differ from Redis' before something of it shows. */
const clockTolerance = 30_000;

/** Reaches the Redis that all replicas share, and tries there what the gateway does. */
export async function checkCacheRedis(
  config: Pick<GatewayConfig, 'cache' | 'baseDirectory'>,
): Promise<readonly Finding[]> {
  const place = cacheRedisOf(config);
  if (place === undefined) return [];
  try {
    return await withCacheRedis(place, async (redis) => {
      const listing = await readListing(redis);
      await tryRights(redis);
      const objections = [
        ...unreadableRemark(listing.unreadable).map((detail) => fault(check, `${detail}: make them the same`)),
        ...judgeClock(listing.now, Date.now()),
        ...(await judgePolicy(redis)),
      ];
      return objections.length === 0 ? [{ check, result: 'ok', detail: describe(listing) }] : objections;
    });
  } catch (error) {
    return [fault(check, causeOf(error))];
  }
}

function describe(listing: Listing): string {
  const blocks = blocksIn(listing).length;
  return `reached, and may be written to; ${blocks === 0 ? 'nobody is blocked' : `blocks in force: ${blocks}`}`;
}

/** With keys of their own that go at once: no gateway and no command may take this for a replica. */
async function tryRights(redis: ProbedRedis): Promise<void> {
  const id = `check-${randomBytes(8).toString('hex')}`;
  const key = `${redis.keyPrefix}${id}`;
  const { revision, list, replicas } = revocationKeys(redis.keyPrefix);
  const other = replicas.replace(/replicas$/, id);
  await redis.probe('cache', (client) => client.set(key, '', 'PX', 60_000));
  await redis.probe('cache', (client) => readValue(client, stringUpTo(0), key));
  await redis.probe('cache', (client) => client.del(key));
  await redis.probe('revocations', (client) => client.eval(pollScript, 3, revision, list, other, id, ''));
  // The script goes on without it, since it must read in any case.
  if ((await redis.probe('revocations', (client) => client.hdel(other, id))) === 0) {
    throw new Error('the poll of the revocation list can not write: the gateway could not confirm what it takes in');
  }
}

/** @param now of this host, milliseconds since 1970, as `redis` is of Redis */
export function judgeClock(redis: number, now: number): readonly Finding[] {
  const seconds = Math.round(Math.abs(redis - now) / 1000);
  if (Math.abs(redis - now) <= clockTolerance) return [];
  const detail = `its clock is ${seconds} s ${redis > now ? 'ahead of' : 'behind'} the one of this host: set the clocks`;
  return [{ check, result: 'warning', detail }];
}

async function judgePolicy(redis: ProbedRedis): Promise<readonly Finding[]> {
  try {
    const texts = await redis.probe('cache', (client) =>
      Promise.all(serversOf(client).map((one) => one.info('memory'))),
    );
    const policies = texts.map((text) => /^maxmemory_policy:([\w-]+)/m.exec(text)?.[1]);
    return policies.map(judgeOne).find((findings) => findings.length > 0) ?? [];
  } catch (error) {
    if (!(error instanceof RedisProblem)) throw error;
    const detail = `INFO can not be looked at, so whether maxmemory-policy is noeviction is not known: ${error.message}`;
    return [{ check, result: 'warning', detail }];
  }
}

/** @param policy undefined where INFO does not tell it */
function judgeOne(policy: string | undefined): readonly Finding[] {
  if (policy === 'noeviction') return [];
  if (policy === undefined) {
    const detail = 'INFO does not tell maxmemory_policy, so whether it is noeviction is not known';
    return [{ check, result: 'warning', detail }];
  }
  const lost = "may drop the revocation list and the lockout guard's counts when its memory is full";
  return [fault(check, `maxmemory-policy ${policy} ${lost}: set maxmemory-policy noeviction`)];
}

/** Each master of a cluster has a policy of its own. */
function serversOf(client: RedisClient): readonly { info(section: 'memory'): Promise<string> }[] {
  return 'nodes' in client ? client.nodes('master') : [client];
}
