import type { RedisServer } from './redis.ts';

/** How often a command was called since the last `forgetCalls`, by whomever, in scripts too. */
export interface CommandCalls {
  of(command: string): number;
  /** Microseconds for which Redis did nothing else, of one call on average. */
  meanTime(command: string): number;
  /** Those that were called, but for the two that look at the calls. */
  readonly names: readonly string[];
}

/** https://redis.io/docs/latest/commands/info/: what was turned away before it was run does not count. */
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
