import type { Logger } from '@sallyport/authenticator';
import type { FoundRecord } from './look-up.ts';
import type { Store } from './store.ts';

/** The part of its idle time that passes before a use extends it: a session may end this much sooner. */
const slack = 1 / 20;

/**
 * Extends the time to live of a session that is used, without delaying the login. A failure is tried again at the next use.
 *
 * @returns a function to call at each use of a session
 */
export function createSessionExtender(
  { connection, keys, now }: Pick<Store, 'connection' | 'keys' | 'now'>,
  logger: Logger,
): (digest: string, found: FoundRecord) => void {
  const inProgress = new Set<string>();
  const never = new AbortController().signal;
  let isFailing = false;

  async function extend(digest: string, idle: number): Promise<void> {
    inProgress.add(digest);
    try {
      await connection.run((client) => client.pexpire(keys.record(digest), idle), never);
      isFailing = false;
    } catch (error) {
      if (!isFailing) logger.warn({ problem: String(error) }, 'cannot extend sessions that are used: they end as idle');
      isFailing = true;
    } finally {
      inProgress.delete(digest);
    }
  }

  return (digest, { record: { idle }, keyExpiresAt }) => {
    if (idle === undefined || keyExpiresAt === undefined || inProgress.has(digest)) return;
    if (keyExpiresAt - now() < idle * (1 - slack)) void extend(digest, idle);
  };
}
