import { loadConfig } from '../config/load.ts';
import { clearLockout, readLockouts } from '../lockout/shared-lockouts.ts';
import { printable } from '../logging/printable.ts';
import { commandLine } from './command-line.ts';
import { configFile } from './config-file.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { lockoutJson, lockoutRedis, type NamedLockout, namedLockouts } from './lockouts.ts';
import { type OutputFormat, printJson } from './output.ts';
import { requirePrefix } from './prefixed-name.ts';
import { withCacheRedis } from './stopping/cache-redis.ts';
import {
  announcementJson,
  confirmationLine,
  exitCodeOf,
  mayStillBeRefused,
  remarks,
  tellRemarks,
} from './stopping/confirmation-report.ts';
import { readWait } from './stopping/duration-option.ts';
import { announceWithPatience } from './stopping/prepare.ts';
import { refuseEmpty } from './token/empty-options.ts';
import { operatorName } from './token/operator.ts';
import { UsageError } from './usage-error.ts';

export interface UnlockOptions {
  readonly user?: string;
  /** The name is meant as it is, though it begins with no prefix of the config. */
  readonly exact?: boolean;
  readonly config?: string;
  readonly reason?: string;
  readonly by?: string;
  readonly wait?: string;
  readonly output: OutputFormat;
}

/** Milliseconds that the entry is in force: a replica acts on it once, when it learns of it. */
const inForceFor = 60_000;

/**
 * Forgets the refused tries of a user: in the cache Redis, and in the memory of each replica, which confirms it. Exits 3
 * when the cache Redis counted none; the replicas are told all the same, since they count by themselves while it is down.
 */
export async function unlock(options: UnlockOptions): Promise<ExitCode> {
  const { user: name, reason, by = operatorName(), output } = options;
  if (name === undefined) throw new UsageError('name the user to unlock: --user NAME, as Kubernetes sees them');
  refuseEmpty({ '--user': name, '--reason': reason, '--by': by });
  const wait = readWait(options.wait);
  const config = await loadConfig(configFile(options.config).file, process.env);
  requirePrefix('user', name, config.authenticators, options.exact);
  return withCacheRedis(lockoutRedis(config, 'unlock'), async (redis) => {
    const all = namedLockouts(await readLockouts(redis, config.lockout), config);
    const cleared = all.filter(({ user }) => user === name);
    for (const one of cleared) await clearLockout(redis, one);
    const record = { action: 'unlock', kind: 'user', name, by, ...(reason !== undefined && { reason }) } as const;
    const announcement = await announceWithPatience(redis, ({ now }) => ({ ...record, until: now + inForceFor }), wait);
    if (output === 'json') printJson({ ...announcementJson(announcement), cleared: cleared.map(lockoutJson) });
    else {
      process.stdout.write(text(name, cleared, config.lockout.maxFailures, options.config));
      process.stdout.write(confirmationLine(announcement.confirmation));
      if (cleared.length > 0) process.stdout.write(mayStillBeRefused);
    }
    tellRemarks(remarks(announcement));
    const code = exitCodeOf(announcement);
    return code === exitCodes.success && cleared.length === 0 ? exitCodes.refused : code;
  });
}

function text(
  name: string,
  cleared: readonly NamedLockout[],
  maxFailures: number,
  configOption: string | undefined,
): string {
  if (cleared.length === 0) {
    return (
      `no refused tries of user ${printable(name)} are counted in the cache Redis: nothing was locked there. ` +
      `To see who is: ${commandLine(['lockouts'], configOption)}\n`
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
