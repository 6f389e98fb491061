import { printable } from '../../base/logging/printable.ts';
import { shellQuoted } from '../../base/shell-quoted.ts';
import type { GatewayConfig } from '../../config/types.ts';
import {
  type Confirmation,
  type Publication,
  publishAndConfirm,
} from '../../engine/revocation/confirmation.ts';
import type { Entry } from '../../engine/revocation/list.ts';
import type { Draft } from '../../engine/revocation/publish.ts';
import type { Listing } from '../../engine/revocation/redis-list.ts';
import { countsFor } from '../../engine/revocation/replicas.ts';
import { withCacheRedis } from '../connections.ts';
import { createInterrupt } from '../interrupt.ts';
import type { ReadOptions } from '../options.ts';
import { type ExitCode, exitCodes, printJson, printRemark } from '../output.ts';
import { humanDuration, momentText } from '../times.ts';

// kube-apiserver has two caches: --authentication-token-webhook-cache-ttl, 2m0s by default, and 10 s around all authenticators.
// The second one contains accepted tokens only.
const untilCacheEnds = (length: string) =>
  `until its own cache ends: ${length},\nunless its --authentication-token-webhook-cache-ttl is another than 2m.`;

export const mayStillPass =
  `Answers that a kube-apiserver has cached may pass ${untilCacheEnds('2 minutes and 10 s')}\n` +
  'What is open already (exec, logs -f, watch) goes on.\n';

export const mayStillBeRefused = `Refusals that a kube-apiserver has cached may hold ${untilCacheEnds('2 minutes')}\n`;

/**
 * Writes an entry, and waits for the replicas. Ctrl-C ends the wait and not the command: it prints who has confirmed by then.
 *
 * @param wait milliseconds; 0: it does not wait
 */
export function publishWithInterrupt(
  config: GatewayConfig,
  wait: number,
  draft: (listing: Listing) => Draft,
): Promise<Publication> {
  return withCacheRedis(config, async (redis) => {
    using interrupt = createInterrupt();
    return await publishAndConfirm(redis, draft, { wait, signal: interrupt.signal });
  });
}

/** Prints what became of an entry. @param text is printed before and after the line that says who has confirmed */
export function report(
  publication: Publication,
  output: ReadOptions['output'],
  [before, after]: readonly [string, string],
  toJson: (published: object) => object = (published) => published,
): ExitCode {
  if (output === 'json') printJson(toJson(publicationJson(publication)));
  else process.stdout.write(before + confirmationLine(publication.confirmation) + after);
  for (const remark of remarks(publication)) printRemark(remark);
  return exitCodeOf(publication);
}

/** Returns `confirmed by 3 of 3 replicas.` */
export function confirmationLine({ confirmed, unconfirmed }: Confirmation): string {
  const all = confirmed.length + unconfirmed.length;
  if (all === 0) return 'no gateway is running on this Redis: it takes effect when one starts.\n';
  return `confirmed by ${confirmed.length} of ${all} ${all === 1 ? 'replica' : 'replicas'}.\n`;
}

const meanings = {
  behind: 'it is running, and has not reported yet that it has the entry',
  silent: 'cut off from Redis, hanging or killed',
  'other keys':
    'its cache.redis.sealingKeys are not those of this config, so it may not know the entry: give both the same keys, and ' +
    'run the command again',
};

const cutOffRemark =
  'a gateway that is cut off uses cached answers for at most 10 s more, and old ones while its backend is down; ' +
  'it does not obey a block that it does not know. Stop it, or fix its connection to Redis, and run the command again';

const olderRemark =
  'the list has a block of a jti or sid. A gateway of an older version does not apply it, and confirms nothing while it is ' +
  'there: update that gateway, or block the user';

const fullRemark =
  'the memory of the cache Redis is full, so the entry was written above its maxmemory. New answers are not shared until ' +
  'you raise maxmemory, or remove what else is in that Redis';

export function remarks(publication: Publication): readonly string[] {
  const { confirmation, unreadable, isAboveLimit, supersededBy, hasNewKinds } = publication;
  const { now, unconfirmed, gone } = confirmation;
  const heard = (heardAt: number) => `last heard of ${humanDuration(now - heardAt)} ago`;
  const all = [
    ...unconfirmed.map(({ id, heardAt, absence }) => {
      const left =
        absence === 'silent'
          ? `. Commands wait for it for ${humanDuration(heardAt + countsFor - now)} more`
          : '';
      return `not confirmed by ${printable(id)}, ${heard(heardAt)}: ${meanings[absence]}${left}`;
    }),
    hasNewKinds && unconfirmed.some(({ absence }) => absence === 'behind') && olderRemark,
    unconfirmed.some(({ absence }) => absence !== 'other keys') && cutOffRemark,
    ...gone.map(({ id, heardAt }) => `${printable(id)} is not counted: ${heard(heardAt)}`),
    ...unreadableRemark(unreadable),
    isAboveLimit && fullRemark,
    supersededBy && superseded(supersededBy),
  ];
  return all.filter((one) => typeof one === 'string');
}

function superseded({ action, by, at }: Entry): string {
  return `superseded: ${printable(by)} ran ${action} for the same subject at ${momentText(at)}`;
}

/** The last moment that a date can have, in milliseconds since 1970. Another client may write any time into the list. */
const lastMoment = 8.64e15;

export function unreadableRemark({ count, until, key }: Listing['unreadable']): readonly string[] {
  if (count === 0) return [];
  const [subject, what, them] =
    count === 1
      ? ['1 entry of the revocation list', 'what it blocks', 'it']
      : [`${count} entries of the revocation list`, 'what they block', 'them'];
  const opens = `can't be opened with cache.redis.sealingKeys of this config, so ${what} is not known here`;
  return [
    `${subject} ${opens}, until ${momentText(Math.min(until, lastMoment))}. If a gateway or a command has other keys, give all of them ` +
      'the same. If all have the same, run the block again that "sallyport blocks" does not list, and remove ' +
      `${them} while the gateways run, which write back all others: redis-cli DEL ${shellQuoted(key)}`,
  ];
}

export function exitCodeOf({ confirmation, supersededBy }: Publication): ExitCode {
  return confirmation.unconfirmed.length === 0 && supersededBy === undefined
    ? exitCodes.success
    : exitCodes.failure;
}

/** Makes the JSON of an entry. A token is named by its whole digest. */
export function entryJson({ action, kind, name, at, until, by, reason }: Entry): object {
  return {
    action,
    kind,
    ...(kind !== 'all' && { name }),
    at: new Date(at),
    until: new Date(until),
    by,
    reason,
  };
}

export function publicationJson({
  entry,
  confirmation,
  unreadable,
  isAboveLimit,
  supersededBy,
}: Publication): object {
  const { confirmed, unconfirmed, gone } = confirmation;
  const heard = ({ id, heardAt }: { id: string; heardAt: number }) => ({
    replica: id,
    lastHeardAt: new Date(heardAt),
  });
  return {
    entry: entryJson(entry),
    confirmed,
    unconfirmed: unconfirmed.map((one) => ({ ...heard(one), problem: one.absence })),
    gone: gone.map(heard),
    unreadable: unreadable.count,
    ...(isAboveLimit && { redisIsFull: true }),
    ...(supersededBy && { supersededBy: entryJson(supersededBy) }),
  };
}
