import { causeOf } from '../../config/problems.ts';
import type { Announcement } from '../../revocation/announce.ts';
import type { Entry } from '../../revocation/types.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { humanDuration } from '../human-duration.ts';
import type { Issuing } from '../token/issuing.ts';
import { cacheRedisOf, withCacheRedis } from './cache-redis.ts';
import { announcementJson, confirmationLine, exitCodeOf, mayStillPass, remarks } from './confirmation-report.ts';
import { readWait } from './duration-option.ts';
import { keptAtMost } from './kept-at-most.ts';
import { announceWithPatience } from './prepare.ts';

/** What gateways have cached of tokens that were revoked, and what became of it. */
export interface Forgotten {
  /** For standard output. */
  readonly text: string;
  /** For standard error. */
  readonly remarks: readonly string[];
  /** Left out: no gateway was told. */
  readonly json?: object;
  readonly exitCode: ExitCode;
}

/** Tells all gateways to forget it, where they can be told. Never rejects: the tokens are revoked in any case. */
export async function forgetRevoked(
  { config, authenticator }: Issuing,
  record: Pick<Entry, 'kind' | 'name' | 'by' | 'reason'>,
): Promise<Forgotten> {
  const { cache, name } = authenticator;
  if (cache === 'off') return { text: mayStillPass, remarks: [], exitCode: exitCodes.success };
  const mayRemember =
    `a gateway may take it for ${humanDuration(cache.authenticatedTtl)} more from its cache (authenticatedTtl of ` +
    `authenticator ${name})${cache.staleTtl === 0 ? '' : `, and for ${humanDuration(cache.staleTtl)} beyond while the backend is down (staleTtl)`}`;
  const place = cacheRedisOf(config);
  if (place === undefined) {
    const text = `Without cache.redis ${mayRemember}.\n${mayStillPass}`;
    return { text, remarks: [], exitCode: exitCodes.success };
  }
  try {
    const announcement = await withCacheRedis(place, (redis) =>
      announceWithPatience(
        redis,
        ({ now }) => ({ ...record, action: 'revoke', until: now + keptAtMost }),
        readWait(undefined),
      ),
    );
    return told(announcement);
  } catch (error) {
    const problem = `the gateways could not be told: ${causeOf(error)}. So ${mayRemember}`;
    return { text: mayStillPass, remarks: [problem], exitCode: exitCodes.fault };
  }
}

function told(announcement: Announcement): Forgotten {
  return {
    text: `Forgotten by the gateways, too: ${confirmationLine(announcement.confirmation)}${mayStillPass}`,
    remarks: remarks(announcement),
    json: announcementJson(announcement),
    exitCode: exitCodeOf(announcement),
  };
}
