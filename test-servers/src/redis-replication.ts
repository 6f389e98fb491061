import { type RedisOptions, type RedisServer, startRedis } from './redis.ts';
import { waitUntil } from './wait-until.ts';

export type PortOf = (node: RedisServer) => number;

/** Starts a replica of `master`, not in sync as yet. */
export function startReplica(master: RedisServer, options: RedisOptions, portOf: PortOf): Promise<RedisServer> {
  return startRedis({ ...options, settings: { ...options.settings, replicaof: `127.0.0.1 ${portOf(master)}` } });
}

/** Waits until it has all of its master's data, in its file too, which it writes anew after a full copy. */
export async function untilInSync(replica: RedisServer): Promise<void> {
  await waitUntil(async () => {
    const info = await infoOf(replica);
    const isWriting = info.get('aof_rewrite_in_progress') !== '0' || info.get('aof_rewrite_scheduled') !== '0';
    return info.get('master_link_status') === 'up' && !isWriting;
  }, 'a replica to be in sync');
}

export async function isMaster(node: RedisServer): Promise<boolean> {
  return node.isRunning && (await infoOf(node)).get('role') === 'master';
}

async function infoOf(node: RedisServer): Promise<Map<string, string>> {
  const text = await node.client().info('replication', 'persistence');
  return new Map(Array.from(text.matchAll(/^(\w+):(.*)\r$/gm), ([, name = '', value = '']) => [name, value]));
}
