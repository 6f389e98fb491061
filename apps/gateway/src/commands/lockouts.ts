import type { GatewayConfig } from '../config/types.ts';
import { clearLockout, type Lockout, readLockouts } from '../lockout/shared-lockouts.ts';
import { printable } from '../logging/printable.ts';
import { needCacheRedis, withCacheRedis } from './cache-redis.ts';
import { commandLine } from './command-line.ts';
import { loadNamedConfig } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { type OutputFormat, printJson, printRemark, printTable } from './output.ts';
import { confirmationLine, mayStillBeRefused, publish, report } from './report.ts';
import { type EntryOptions, requirePrefix } from './subject.ts';
import { momentText } from './times.ts';

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
  const config = await loadNamedConfig(options);
  needCacheRedis(config, 'lockouts');
  const all = namedLockouts(await withCacheRedis(config, (redis) => readLockouts(redis, config.lockout)), config);
  if (options.output === 'json') printJson({ lockouts: all.map(lockoutJson) });
  else if (all.length === 0) printRemark('no refused tries are counted in the cache Redis');
  else {
    const rows = all.map(({ user, authenticator, refused, isLockedOut, until }) => [
      user,
      authenticator,
      `${refused} of ${config.lockout.maxFailures}`,
      isLockedOut ? 'locked out' : 'counting',
      momentText(until),
    ]);
    printTable(['USER', 'AUTHENTICATOR', 'REFUSED', 'STATE', 'UNTIL'], rows);
  }
  return exitCodes.success;
}

/** Leaves out those of authenticators that the config does not have. */
export function namedLockouts(all: readonly Lockout[], { authenticators }: GatewayConfig): readonly NamedLockout[] {
  return all.flatMap((one) => {
    const owner = authenticators.find(({ name }) => name === one.authenticator);
    return owner === undefined ? [] : [{ ...one, user: owner.username.prefix + one.username }];
  });
}

export function lockoutJson({ user, authenticator, subject, refused, isLockedOut, until }: NamedLockout): object {
  return { user, authenticator, subject, refused, lockedOut: isLockedOut, until: new Date(until) };
}

export interface UnlockOptions extends EntryOptions {
  readonly user: string;
}

/** How long the entry is in force, in milliseconds: a replica acts on it once, when it learns of it. */
const inForceFor = 60_000;

/**
 * Forgets the refused tries of a user: in the cache Redis, and in the memory of each replica, which confirms it. Exits 3
 * when the cache Redis counted none. The replicas forget theirs all the same: they count by themselves while it is down.
 */
export async function unlock(options: UnlockOptions): Promise<ExitCode> {
  const { user: name, reason, by } = options;
  const config = await loadNamedConfig(options);
  requirePrefix('user', name, config.authenticators, options.exact);
  needCacheRedis(config, 'unlock');
  return withCacheRedis(config, async (redis) => {
    const all = namedLockouts(await readLockouts(redis, config.lockout), config);
    const cleared = all.filter(({ user }) => user === name);
    for (const one of cleared) await clearLockout(redis, one);
    const record = { action: 'unlock', kind: 'user', name, by, ...(reason && { reason }) } as const;
    const publication = await publish(redis, ({ now }) => ({ ...record, until: now + inForceFor }), options.wait);
    const text =
      unlockText(name, cleared, config.lockout.maxFailures, options.config) +
      confirmationLine(publication.confirmation) +
      (cleared.length > 0 ? mayStillBeRefused : '');
    const code = report(publication, options.output, text, { cleared: cleared.map(lockoutJson) });
    return code === exitCodes.success && cleared.length === 0 ? exitCodes.negative : code;
  });
}

function unlockText(name: string, cleared: readonly NamedLockout[], maxFailures: number, config?: string): string {
  if (cleared.length === 0) {
    return (
      `no refused tries of user ${printable(name)} are counted in the cache Redis: nothing was locked there. ` +
      `To list all lockouts: ${commandLine(['lockouts'], config)}\n`
    );
  }
  const lines = cleared.map(({ authenticator, refused }) => {
    const tries = `${refused} refused ${refused === 1 ? 'try' : 'tries'}`;
    return `forgot ${tries} of user ${printable(name)} with authenticator ${authenticator}.\n`;
  });
  return (
    lines.join('') +
    `The next ${maxFailures} passwords are sent to the directory again, also one that was refused before: ` +
    'if a client goes on with an old password, change it there first.\n' +
    'A lock of the directory itself stays: end it there.\n'
  );
}
