import { pause, within } from '@sallyport/plugin-kit';
import type { ChainableCommander } from 'ioredis';
import { isCluster, type RedisClient } from './nodes.ts';

/** Milliseconds that a replica has to confirm a write, at most half of `commandTimeout`. One that runs needs a fraction of it. */
const confirmationLimit = 2_000;
/** Milliseconds until replicas that confirmed nothing are asked again. Otherwise each of many writes would wait for them. */
const pauseAfterFailure = 1_000;
/** Milliseconds between two looks at what replicas have confirmed. */
const lookInterval = 20;

/**
 * Makes `RedisConnection.isReplicated`. WAIT alone would delay all other commands of the connection for as long as it
 * waits. So one WAIT at a time waits for a millisecond: by it, the master asks its replicas what they have. ROLE shows
 * their answers.
 *
 * @param now monotonic milliseconds
 */
export function createReplicationCheck(
  client: () => RedisClient,
  commandTimeout: number,
  now: () => number = () => performance.now(),
): (key: string) => Promise<boolean | undefined> {
  const share = createSharing();
  /** The end of the pause of each node, by the addresses of its replicas. */
  const pausedUntil = new Map<string, number>();

  async function ask(key: string): Promise<boolean | undefined> {
    const current = client();
    const end = now() + Math.min(confirmationLimit, commandTimeout / 2);
    const role = async () => readRole(await askNode(current, key, (pipeline) => pipeline.role()));
    const { offset, replicas } = await role();
    if (replicas.length === 0) return expectsReplicas(current) ? false : undefined;
    const shard = replicas.map(({ address }) => address).join();
    if (now() < (pausedUntil.get(shard) ?? 0)) return false;
    await share(shard, () => askNode(current, key, (pipeline) => pipeline.wait(1, 1)));
    for (;;) {
      const look = await role();
      if (look.replicas.some(({ confirmed }) => confirmed >= offset)) return true;
      if (now() >= end) break;
      await pause(lookInterval);
    }
    pausedUntil.set(shard, now() + pauseAfterFailure);
    return false;
  }

  return async (key) => {
    try {
      return await within({ limit: commandTimeout }, () => ask(key));
    } catch (error) {
      // Servers that others run may lack ROLE.
      return /\bNOPERM\b|\bunknown command\b/.test(String(error)) ? undefined : false;
    }
  };
}

/** Asks the node that has the key. PTTL changes nothing: it chooses the node of a cluster, and fails when the key has moved. */
async function askNode(
  client: RedisClient,
  key: string,
  ask: (pipeline: ChainableCommander) => ChainableCommander,
): Promise<unknown> {
  const [[moved] = [], [error, reply] = []] = (await ask(client.pipeline().pttl(key)).exec()) ?? [];
  if (moved || error) throw moved ?? error;
  return reply;
}

/** Reads the answer of a master: its offset, and those that each connected replica has confirmed. */
function readRole(reply: unknown) {
  const [role, offset, replicas] = Array.isArray(reply) ? reply : [];
  // It was the master a moment ago.
  if (role !== 'master' || !Array.isArray(replicas)) throw new Error('the server is not a master');
  return {
    offset: Number(offset),
    replicas: replicas.filter(Array.isArray).map(([host, port, confirmed]) => {
      return { address: `${host}:${port}`, confirmed: Number(confirmed) };
    }),
  };
}

/** A failover may promote a replica that is not connected now. */
function expectsReplicas(client: RedisClient): boolean {
  return isCluster(client) ? client.nodes('slave').length > 0 : Boolean(client.options.sentinels);
}

/** Runs work one at a time for each name. Calls that come while it runs share the next run, which begins after all of them. */
function createSharing() {
  const running = new Map<string, Promise<unknown>>();
  const next = new Map<string, Promise<unknown>>();
  return (name: string, work: () => Promise<unknown>): Promise<unknown> => {
    const previousRun = running.get(name);
    const start = () => {
      next.delete(name);
      const run = work().finally(() => running.delete(name));
      running.set(name, run);
      return run;
    };
    if (previousRun === undefined) return start();
    const shared = next.get(name) ?? previousRun.then(start, start);
    next.set(name, shared);
    return shared;
  };
}
