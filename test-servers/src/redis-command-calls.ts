import type { RedisServer } from './redis.ts';

/** How often commands were called since the last `forgetCalls`, by all clients and scripts. */
export interface CommandCalls {
  of(command: string): number;
  /** Microseconds of Redis' own time for one call, on average. */
  meanTime(command: string): number;
  /** The commands that were called, without the two that this module sends. */
  readonly names: readonly string[];
}

/** Commands that were rejected before they ran do not count: https://redis.io/docs/latest/commands/info/. */
export async function commandCalls(redis: RedisServer): Promise<CommandCalls> {
  const info = await redis.client().info('commandstats');
  const line = /^cmdstat_([^:]+):calls=(\d+),usec=\d+,usec_per_call=([\d.]+)/gm;
  const stats = new Map(
    Array.from(info.matchAll(line), ([, name = '', calls, time]) => [
      name,
      { calls: Number(calls), time: Number(time) },
    ]),
  );
  const own = ['info', 'config|resetstat'];
  return {
    of: (command) => stats.get(command)?.calls ?? 0,
    meanTime: (command) => stats.get(command)?.time ?? Number.NaN,
    names: [...stats].flatMap(([name, { calls }]) => (calls > 0 && !own.includes(name) ? [name] : [])).sort(),
  };
}

export async function forgetCalls(redis: RedisServer): Promise<void> {
  await redis.client().config('RESETSTAT');
}

/** The connections that the server has now, except that of `redis.client()`. */
export async function clientsOf(redis: RedisServer): Promise<readonly string[]> {
  const own = await redis.client().client('ID');
  const list = String(await redis.client().client('LIST'));
  return list
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith(`id=${own} `));
}
