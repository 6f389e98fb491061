import { printable } from '../../base/logging/printable.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { clearLockout } from '../../engine/lockout/shared-lockouts.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { isCodeSubject } from '../../login/factors/second-factor.ts';
import { loadNamedConfig } from '../config-file.ts';
import { needCacheRedis, withCacheRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import type { ReadOptions } from '../options.ts';
import { type ExitCode, exitCodes, printJson, printTable } from '../output.ts';
import { commandLine, userWords } from '../printed-commands.ts';
import { momentText } from '../times.ts';
import { checkName, remarkDoubts } from '../users/name-check.ts';
import { lockoutJson, type NamedLockout, namedLockouts } from '../users/named-lockouts.ts';
import { type EntryOptions, planEntry } from '../users/subject.ts';
import { mayStillBeRefused, publishEntry, report } from './report.ts';
import { explainWithoutRedis, type MissedEffect, nameOptions } from './without-redis.ts';

export function lockouts(context: CommandContext, options: ReadOptions): Promise<ExitCode> {
  const effect: MissedEffect = {
    undone: "the lockouts can't be read. Each gateway goes on counting in its own memory",
  };
  return explainWithoutRedis(context, options, effect, () => printLockouts(context, options));
}

async function printLockouts(context: CommandContext, options: ReadOptions): Promise<ExitCode> {
  const config = await loadNamedConfig(context, options);
  needCacheRedis(config, 'lockouts');
  const locks = await withCacheRedis(context, config, (redis) => namedLockouts(redis, config));
  if (options.output === 'json') printJson(context, { lockouts: locks.map(lockoutJson) });
  else {
    const rows = locks.map((lock) => [
      lock.user,
      placeText(lock),
      `${lock.refused} of ${config.lockout.maxFailures}`,
      lock.isLockedOut ? 'locked out' : 'counting',
      momentText(lock.until),
    ]);
    const empty = 'no refused attempts are counted in the cache Redis';
    printTable(context, ['USER', 'AUTHENTICATOR', 'REFUSED', 'STATE', 'UNTIL'], rows, empty);
  }
  return exitCodes.success;
}

function attemptsText({ refused }: Pick<NamedLockout, 'refused'>): string {
  return `${refused} refused ${refused === 1 ? 'attempt' : 'attempts'}`;
}

/** Wrong codes count apart from wrong passwords, with the same authenticator. */
function placeText({ subject, authenticator }: NamedLockout): string {
  return isCodeSubject(subject) ? `${authenticator} (second factor)` : authenticator;
}

/** Describes lockouts, each with the command that ends it. */
export function lockoutLines(
  context: CommandContext,
  locks: readonly NamedLockout[],
  isExact?: boolean,
): string[] {
  return locks.map((lock) => {
    const { user, isLockedOut, until } = lock;
    const state = isLockedOut ? 'locked out' : 'not locked out';
    const attempts = `${attemptsText(lock)} with ${placeText(lock)}`;
    const unlock = commandLine(context, ['unlock', ...userWords(user, isExact)]);
    return `${state}: ${attempts}, until ${momentText(until)}. To forget them now: ${unlock}`;
  });
}

/** How long an `unlock` is in force, in milliseconds. A replica acts on it once, when it learns of it. */
export const unlockLifetime = 60_000;

/** Forgets the refused attempts of a user in the cache Redis. @returns what was counted. @throws RedisProblem */
export async function clearLockouts(
  redis: ProbedRedis,
  config: GatewayConfig,
  name: string,
): Promise<readonly NamedLockout[]> {
  const locks = await namedLockouts(redis, config, name);
  for (const lock of locks) await clearLockout(redis, lock);
  return locks;
}

/** Returns `forgot 3 refused attempts of user corp:jane with authenticator corp.` */
export function forgotLine(name: string, lock: NamedLockout): string {
  return `forgot ${attemptsText(lock)} of user ${printable(name)} with authenticator ${placeText(lock)}.\n`;
}

/**
 * Forgets the refused attempts of a user: in the cache Redis, and in the memory of each replica, which confirms it. Exits 3
 * when the cache Redis counted none. The replicas forget theirs all the same: they count by themselves while it is down.
 */
export function unlock(context: CommandContext, options: EntryOptions): Promise<ExitCode> {
  const subject = nameOptions(options);
  const effect: MissedEffect = {
    undone: `${subject} is not unlocked on every replica`,
    doubtful: `${subject} might not be unlocked`,
  };
  return explainWithoutRedis(context, options, effect, () => unlockUser(context, options));
}

async function unlockUser(context: CommandContext, options: EntryOptions): Promise<ExitCode> {
  const { config, draft } = await planEntry(context, options, 'unlock', ['user']);
  const cleared = await withCacheRedis(context, config, (redis) =>
    clearLockouts(redis, config, draft.name),
  );
  const publication = await publishEntry(context, config, options, ({ now }) => ({
    ...draft,
    until: now + unlockLifetime,
  }));
  const text = unlockText(context, draft.name, cleared, config.lockout.maxFailures);
  const refusals = cleared.length > 0 ? mayStillBeRefused : '';
  const code = report(context, publication, options.output, [text, refusals], (json) => ({
    ...json,
    cleared: cleared.map(lockoutJson),
  }));
  if (cleared.length > 0) return code;
  const checked = await checkName(context, config, draft.name, options.wait);
  remarkDoubts(context, checked, (name) => ['unlock', '--user', name]);
  return code === exitCodes.success ? exitCodes.negative : code;
}

function unlockText(
  context: CommandContext,
  name: string,
  cleared: readonly NamedLockout[],
  maxFailures: number,
): string {
  if (cleared.length === 0) {
    return (
      `no refused attempts of user ${printable(name)} are counted in the cache Redis: nothing was locked there. ` +
      'Each replica also forgets what it counted in its own memory. ' +
      `To list all lockouts: ${commandLine(context, ['lockouts'])}\n`
    );
  }
  const lines = cleared.map((lock) => forgotLine(name, lock));
  if (cleared.every(({ subject }) => isCodeSubject(subject)))
    return `${lines.join('')}The next ${maxFailures} codes of the user are checked again.\n`;
  return (
    lines.join('') +
    `The next ${maxFailures} passwords are sent to the directory again, even one that was refused before: ` +
    'if a client still sends an old password, change it there first.\n' +
    'A lock in the directory itself remains: remove it there.\n'
  );
}
