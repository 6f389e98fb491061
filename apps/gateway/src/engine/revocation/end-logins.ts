import { FixableError } from '../../config/problems.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { publishAndConfirm } from './confirmation.ts';
import { type Entry, identifySubject } from './list.ts';
import { maxEntries } from './publish.ts';
import type { Listing } from './redis-list.ts';

/** How long replicas have to confirm, in milliseconds. They poll every 500 ms. */
const confirmLimit = 2_000;

/** How long the entry is in force, in milliseconds. A login in a browser takes 10 minutes at most. */
const lastsFor = 3_600_000;

/** Users add an entry while the list has fewer: thousands who log out everywhere must not keep anyone from being blocked. */
const maxListed = maxEntries / 2;

/**
 * Ends the logins in progress of a user on all replicas, for what the user does. The entry is a revocation, so it also makes the
 * replicas forget what they have cached of the user.
 *
 * @param limit how long the user waits in all, in milliseconds: the wait for the replicas takes a quarter of it at most
 * @param signal ends that wait early
 * @returns the revision of the entry, the revision of the revocation that was in force for the user before it (0: there was none), and
 *   how many replicas have not confirmed the entry
 * @throws RedisProblem, Error when it can't be done
 */
export async function endLogins(
  redis: ProbedRedis,
  details: Pick<Entry, 'name' | 'by' | 'reason'>,
  { limit, signal }: { readonly limit: number; readonly signal: AbortSignal },
) {
  const revocation = { ...details, action: 'revoke', kind: 'user' } as const;
  let previousRevision = 0;
  const draft = ({ entries, now }: Pick<Listing, 'entries' | 'now'>) => {
    const replaced = entries.filter(
      (entry) => identifySubject(entry) === identifySubject(revocation),
    );
    const listed = entries.filter(({ keptUntil }) => keptUntil > now).length;
    if (replaced.length === 0 && listed >= maxListed) {
      throw new FixableError(
        `the revocation list has ${listed} entries, and the other half is for commands`,
        'run: sallyport revoke --user',
      );
    }
    const revocationsOfAll = entries.filter(
      ({ action, kind }) => action === 'revoke' && kind === 'all',
    );
    previousRevision = Math.max(
      0,
      ...[...replaced, ...revocationsOfAll].map((entry) => entry.revision),
    );
    // A command may wait for its own revocation of this user: the entry replaces it, and must last as long.
    const until = Math.max(now + lastsFor, ...replaced.map((entry) => entry.until));
    return { ...revocation, until };
  };
  const options = { wait: Math.min(confirmLimit, limit / 4), signal };
  const { entry, confirmation } = await publishAndConfirm(redis, draft, options);
  return {
    revision: entry.revision,
    previousRevision,
    unconfirmed: confirmation.unconfirmed.length,
  };
}
