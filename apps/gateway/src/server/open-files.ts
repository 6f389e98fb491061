import { readFile } from 'node:fs/promises';
import type { Logger } from '@sallyport/authenticator';
import { type ConnectionLimits, connectionLimits } from './limits.ts';

/** So many file descriptors allow every connection, and leave as many for everything else. */
const enough = 2 * connectionLimits.maxConnections;

/**
 * The connections that the limit of open files leaves: half of the file descriptors are for backends, DNS, files and the
 * admin address, so that whoever opens connections can't take those away. Warns where that is less than usual.
 *
 * @param openFiles see {@link openFileLimit}
 */
export function connectionsWithin(
  openFiles: number,
  logger: Logger,
): Pick<ConnectionLimits, 'maxConnections' | 'maxNewcomers'> {
  const maxConnections = Math.min(connectionLimits.maxConnections, Math.floor(openFiles / 2));
  const maxNewcomers = Math.min(connectionLimits.maxNewcomers, Math.floor(maxConnections / 2));
  if (openFiles < enough) {
    const remedy = `set LimitNOFILE=${enough} in the systemd unit, or run: ulimit -n ${enough}`;
    logger.warn(
      { openFiles, maxConnections, remedy },
      'the limit of open files is low: fewer connections are accepted',
    );
  }
  return { maxConnections, maxNewcomers };
}

/**
 * How many file descriptors this process may have open (RLIMIT_NOFILE). Node raises the soft limit to the hard one when
 * it starts, so this is the hard one as well.
 *
 * @param limits as Linux has them: proc(5), /proc/pid/limits
 * @returns Infinity where the system does not say, or there is no limit
 */
export async function openFileLimit(limits = '/proc/self/limits'): Promise<number> {
  const text = await readFile(limits, 'utf8').catch(() => '');
  const soft = /^Max open files +(\d+)/m.exec(text)?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}
