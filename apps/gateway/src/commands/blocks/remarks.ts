import { printable } from '../../base/logging/printable.ts';
import { shellQuoted } from '../../base/shell-quoted.ts';
import type { ProblemWords } from '../../config/problems.ts';
import type { Confirmation, Publication } from '../../engine/revocation/confirmation.ts';
import type { Listing } from '../../engine/revocation/redis-list.ts';
import { momentText, roundedDuration } from '../times.ts';

/** Counts the replicas that must confirm. Where their number is given, those that were silent for long are not counted. */
export function countReplicas({
  confirmed,
  unconfirmed,
  longSilent,
  expected,
}: Confirmation): number {
  return confirmed.length + unconfirmed.length + (expected === undefined ? longSilent.length : 0);
}

const meanings = {
  behind: { message: 'it is running, and has not yet reported that it has the entry' },
  silent: { message: 'cut off from Redis, hanging or killed' },
  removed: {
    message: 'it has ended, or another client of this Redis has removed its note',
    fix: 'run the command again',
  },
  'other keys': {
    message:
      "its cache.redis.sealingKeys differ from this config's, so it might not know the entry",
    fix: 'give both the same keys, and run the command again',
  },
} as const;

const cutOffRemark: ProblemWords = {
  message:
    'a gateway that is cut off uses cached answers for at most 10s more, and stale answers while its backend is down; ' +
    'it does not apply a block that it does not know',
  fix: 'stop it, or fix its connection to Redis, and run the command again',
};

const olderRemark: ProblemWords = {
  message:
    'the list contains a block of a jti or sid, or an entry about a second factor. A gateway of an older version does not know it, and confirms nothing while it is there',
  fix: 'update that gateway, or block the user',
};

const fullRemark: ProblemWords = {
  message:
    'the memory of the cache Redis is full, so the entry was written above its maxmemory, and new answers are not shared',
  fix: 'raise maxmemory, or remove other data from that Redis',
};

const noListRemark: ProblemWords = {
  message:
    'the cache Redis had no revocation list, since it is new or lost its data, so a gateway that is cut off from it is not counted. Until a gateway that ran before reaches it, gateways that start let no one in',
  fix: 'if this Redis is new, or no such gateway runs, block again who must stay out, and run: sallyport revoke --all',
};

const newListRemark: ProblemWords = {
  message:
    'the cache Redis had no revocation list, since it is new or lost its data. Gateways now use the one that this command began',
  fix: 'block again who must stay out',
};

/** Explains why too few replicas have confirmed. */
function countRemark(confirmation: Confirmation): ProblemWords | undefined {
  const { confirmed, expected } = confirmation;
  if (expected === undefined)
    return countReplicas(confirmation) > 0
      ? undefined
      : {
          message: 'no gateway is noted in this Redis, so no one has confirmed it',
          fix: 'check that --config names the config of the gateways, and that they reach this Redis. If none runs, add --expect 0',
        };
  if (confirmed.length >= expected) return undefined;
  return {
    message: `--expect ${expected}: only ${confirmed.length} confirmed it`,
    fix: 'find the gateway that does not reach this Redis, and run the command again',
  };
}

export function remarks(publication: Publication): readonly ProblemWords[] {
  const { entry, confirmation, unreadable, isAboveLimit, supersededBy, hasNewKinds, hadList } =
    publication;
  const { now, unconfirmed, longSilent, expected } = confirmation;
  const heardText = (heardAt: number) => `last heard of ${roundedDuration(now - heardAt)} ago`;
  const candidates = [
    ...unconfirmed.map(({ id, heardAt, absence }): ProblemWords => {
      const meaning: ProblemWords = meanings[absence];
      return {
        ...meaning,
        message: `not confirmed by ${printable(id)}, ${heardText(heardAt)}: ${meaning.message}`,
      };
    }),
    hasNewKinds && unconfirmed.some(({ absence }) => absence === 'behind') && olderRemark,
    unconfirmed.some(({ absence }) => absence !== 'other keys') && cutOffRemark,
    ...longSilent.map(({ id, heardAt }) =>
      expected === undefined
        ? {
            message: `not confirmed by ${printable(id)}, ${heardText(heardAt)}: ${meanings.silent.message}`,
            fix: 'stop it, or fix its connection to Redis, and run the command again. If it was killed, give the number of gateways that run: --expect N',
          }
        : { message: `${printable(id)} is not counted: ${heardText(heardAt)}` },
    ),
    countRemark(confirmation),
    !hadList && (entry.kind === 'all' ? newListRemark : noListRemark),
    ...unreadableRemark(unreadable),
    isAboveLimit && fullRemark,
    supersededBy && {
      message: `superseded: ${printable(supersededBy.by)} ran ${supersededBy.action} for the same subject at ${momentText(supersededBy.at)}`,
    },
  ];
  return candidates.filter((remark) => typeof remark === 'object');
}

/** The last moment that a date can have, in milliseconds since 1970. Another client may write any time into the list. */
const lastMoment = 8.64e15;

export function unreadableRemark({
  count,
  until,
  key,
}: Listing['unreadable']): readonly ProblemWords[] {
  if (count === 0) return [];
  const [subject, blocked, pronoun] =
    count === 1
      ? ['1 entry of the revocation list', 'what it blocks', 'it']
      : [`${count} entries of the revocation list`, 'what they block', 'them'];
  const opens = `can't be opened with cache.redis.sealingKeys of this config, so ${blocked} is not known here`;
  return [
    {
      message: `${subject} ${opens}, until ${momentText(Math.min(until, lastMoment))}`,
      fix:
        'if a gateway or a command has other keys, give all of them the same keys. If all have the same keys, repeat the block that ' +
        `"sallyport blocks" doesn't list, and remove ${pronoun} while the gateways run, which write back all others: ` +
        `redis-cli DEL ${shellQuoted(key)}`,
    },
  ];
}
