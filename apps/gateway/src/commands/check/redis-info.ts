import {
  findLuaProblem,
  RedisProblem,
  readInfo,
  type ServerInfo,
} from '@sallyport/redis-connection';
import type { ProbedRedis, RedisUse } from '../../engine/shared-redis/shared-redis.ts';
import { type Findings, warning } from '../finding.ts';

/**
 * Asks each server of a Redis for INFO, which needs a separate right.
 *
 * @param question what is not known without it
 * @returns a warning if the user of the config may not
 */
export async function readServers(redis: ProbedRedis, use: RedisUse, question: string) {
  try {
    return { all: await redis.probe(use, readInfo) };
  } catch (error) {
    if (!(error instanceof RedisProblem)) throw error;
    const detail = `INFO failed, so it is unknown whether ${question}: ${error.message}`;
    return { problem: warning('redis-info', detail) };
  }
}

/** Finds a Redis that drops keys when its memory is full. @param lost what it can drop. @param effect what follows then */
export function evictionProblems(
  servers: readonly ServerInfo[],
  lost: string,
  effect = '',
): Findings {
  const policies = servers.map(({ maxmemory_policy: policy }) => policy);
  const evicting = policies.filter((policy) => policy !== 'noeviction');
  if (evicting.length === 0) return [];
  const [policy] = evicting;
  return policy === undefined
    ? warning(
        'redis-info',
        'INFO does not show maxmemory_policy, so it is unknown whether it is noeviction',
      )
    : [
        {
          result: 'error',
          detail: `maxmemory-policy ${policy} can drop ${lost} when the memory of Redis is full${effect}`,
          fix: 'set maxmemory-policy noeviction',
        },
      ];
}

/** Finds a Redis whose Lua has known holes: who may run scripts there could take it over. */
export async function luaProblems(redis: ProbedRedis, use: RedisUse): Promise<Findings> {
  const problem = await redis.probe(use, findLuaProblem);
  return problem ? [{ result: 'warning', name: 'lua', ...problem }] : [];
}

/** Finds a Redis that loses second factors when it restarts. @param effect what follows then */
export function persistenceProblems(servers: readonly ServerInfo[], effect: string): Findings {
  const volatile = servers.find(({ aof_enabled: enabled }) => enabled !== '1');
  if (volatile === undefined) return [];
  const { aof_enabled: enabled, rdb_last_bgsave_time_sec: lastSnapshot } = volatile;
  if (enabled === undefined) {
    const detail = `INFO does not show aof_enabled, so it is unknown whether a restart loses all second factors`;
    return warning('redis-info', detail);
  }
  // INFO does not show save points. rdb_last_bgsave_time_sec is -1 until a snapshot was made.
  const detail =
    lastSnapshot === '-1'
      ? `it has no append-only file, and has made no snapshot since it started: without save points, a restart loses all second factors, and ${effect}`
      : 'it has no append-only file: a crash undoes what was written after its last snapshot, so factors that were added since are gone, and codes and factors that were used up or removed since are valid again';
  return warning('persistence', detail, 'set appendonly yes (docs/redis.md)');
}
