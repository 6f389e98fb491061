import type { RedisServer } from './redis.ts';

/** How often commands were called since the last `forgetCalls`, by all clients and scripts. */
export interface CommandCalls {
  of(command: string): number;
  /** The commands that were called, without the two that this module sends. */
  readonly names: readonly string[];
}

/** Commands that were rejected before they ran do not count: https://redis.io/docs/latest/commands/info/. */
export async function commandCalls(redis: RedisServer): Promise<CommandCalls> {
  const info = await redis.client().info('commandstats');
  const matches = info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm);
  const calls = new Map(Array.from(matches, ([, name = '', count]) => [name, Number(count)]));
  const own = ['info', 'config|resetstat'];
  return {
    of: (command) => calls.get(command) ?? 0,
    names: [...calls]
      .flatMap(([name, count]) => (count > 0 && !own.includes(name) ? [name] : []))
      .sort(),
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
