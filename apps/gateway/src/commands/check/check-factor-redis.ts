import { randomBytes } from 'node:crypto';
import { readValue, stringUpTo } from '@sallyport/redis-connection';
import type { GatewayConfig, SecondFactorConfig } from '../../config/types.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { createFactorStore, replaceScript } from '../../login/factors/factor-store.ts';
import { withFactorRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import { readAll, unreadableText } from '../factors/list.ts';
import { type Findings, ok, toError } from '../finding.ts';
import { evictionProblems, luaProblems, persistenceProblems, readServers } from './redis-info.ts';

/** Reaches the Redis of second factors, and tries what the gateway and its commands do there. */
export async function checkFactorRedis(
  context: CommandContext,
  config: Pick<GatewayConfig, 'cache' | 'baseDirectory' | 'login'>,
): Promise<Findings> {
  const secondFactor = config.login?.secondFactor;
  // Without sealing keys, which are in `cache.redis`, no one gets this config.
  if (secondFactor === undefined || config.cache.redis === undefined) return [];
  const look = async (redis: ProbedRedis): Promise<Findings> => {
    await tryRights(redis);
    const { readable, unreadable } = await readAll(createFactorStore(redis, context.now));
    const [unreadableRecord] = unreadable;
    const problems = [
      ...(unreadableRecord
        ? [toError(unreadableText(unreadable.length, unreadableRecord.key))]
        : []),
      ...(await serverProblems(redis, secondFactor)),
      ...(await luaProblems(redis, 'factor')),
    ];
    if (problems.length > 0) return problems;
    return ok(`reached and writable; records: ${readable.length}`);
  };
  return await withFactorRedis(context, config, secondFactor, look);
}

/** Runs the commands of the store, on a separate key that is as long as real ones. */
async function tryRights(redis: ProbedRedis): Promise<void> {
  const key = `${redis.keyPrefix}factor:check-${randomBytes(29).toString('hex')}`;
  const replace = (oldValue: string, value: string, lifetime: number) =>
    redis.probe('factor', (client) =>
      client.eval(replaceScript, 1, key, oldValue, value, lifetime),
    );
  await replace('', 'check', 60_000);
  await redis.probe('factor', (client) => readValue(client, stringUpTo(16), key));
  await replace('check', '', 0);
  await redis.probe('factor', (client) => client.del(key));
}

async function serverProblems(redis: ProbedRedis, { required }: SecondFactorConfig) {
  const servers = await readServers(redis, 'factor', 'it persists and does not evict');
  if ('problem' in servers) return servers.problem;
  const effect =
    required === 'none'
      ? 'people who had one log in with the password alone then'
      : 'everyone who must have one is refused then';
  return [
    ...evictionProblems(servers.all, 'second factors', `: ${effect}`),
    ...persistenceProblems(servers.all, effect),
  ];
}
