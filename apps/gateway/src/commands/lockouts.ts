import { loadConfig } from '../config/load.ts';
import type { GatewayConfig } from '../config/types.ts';
import { type Lockout, readLockouts } from '../lockout/shared-lockouts.ts';
import { printable } from '../logging/printable.ts';
import { configFile } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { humanDuration } from './human-duration.ts';
import { type OutputFormat, printJson, printTable } from './output.ts';
import { type CacheRedisPlace, cacheRedisOf, withCacheRedis } from './stopping/cache-redis.ts';
import { momentText } from './stopping/confirmation-report.ts';

export interface LockoutsOptions {
  readonly config?: string;
  readonly output: OutputFormat;
}

/** A lockout with the name that Kubernetes sees. */
export interface NamedLockout extends Lockout {
  readonly user: string;
}

/** Lists whose refused tries count, in the running fleet. */
export async function lockouts(options: LockoutsOptions): Promise<ExitCode> {
  const config = await loadConfig(configFile(options.config).file, process.env);
  const all = await withCacheRedis(lockoutRedis(config, 'lockouts'), async (redis) =>
    namedLockouts(await readLockouts(redis, config.lockout), config),
  );
  if (options.output === 'json') printJson({ lockouts: all.map((one) => lockoutJson(one)) });
  else if (all.length > 0) printRows(all, config.lockout.maxFailures);
  else process.stderr.write('sallyport: no refused tries are counted in the cache Redis\n');
  return exitCodes.success;
}

/** @throws Error when the config has no cache.redis, which says where the counts are then */
export function lockoutRedis(config: GatewayConfig, command: string): CacheRedisPlace {
  const place = cacheRedisOf(config);
  if (place !== undefined) return place;
  throw new Error(
    `${command} needs cache.redis, and ${config.file} has none. Each gateway process counts refused tries by itself, ` +
      'in its memory, and no command reaches them. A count ends with lockout.window ' +
      `(${humanDuration(config.lockout.window)}) after the last refused try, or with a restart of that process`,
  );
}

/** Those of authenticators that the config has. */
export function namedLockouts(all: readonly Lockout[], { authenticators }: GatewayConfig): readonly NamedLockout[] {
  return all.flatMap((one) => {
    const owner = authenticators.find(({ name }) => name === one.authenticator);
    return owner === undefined ? [] : [{ ...one, user: owner.username.prefix + one.username }];
  });
}

export function lockoutJson({ user, authenticator, subject, refused, isLockedOut, until }: NamedLockout): object {
  return { user, authenticator, subject, refused, lockedOut: isLockedOut, until: new Date(until) };
}

function printRows(all: readonly NamedLockout[], maxFailures: number): void {
  const rows = all.map(({ user, authenticator, refused, isLockedOut, until }) => [
    user,
    authenticator,
    `${refused} of ${maxFailures}`,
    isLockedOut ? 'locked out' : 'counting',
    momentText(until),
  ]);
  printTable(
    ['USER', 'AUTHENTICATOR', 'REFUSED', 'STATE', 'UNTIL'],
    rows.map((row) => row.map(printable)),
  );
}
