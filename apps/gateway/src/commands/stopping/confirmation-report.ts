import { printable } from '../../logging/printable.ts';
import type { Absence, Confirmation, Publication } from '../../revocation/confirmation.ts';
import type { Entry } from '../../revocation/types.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { humanDuration } from '../human-duration.ts';
import { timeText } from '../token/issued-token.ts';

// Of kube-apiserver: --authentication-token-webhook-cache-ttl, 2m0s by default, and 10 s around all authenticators.
const kubeCaches =
  'until its own cache ends: 2 minutes and 10 s,\nunless its --authentication-token-webhook-cache-ttl is another than 2m.';

/** What may pass for a while yet. */
export const mayStillPass: string =
  `Answers that a kube-apiserver has cached may pass ${kubeCaches}\n` +
  'What is open already (exec, logs -f, watch) goes on.\n';

/** What may be refused for a while yet. */
export const mayStillBeRefused: string = `Refusals that a kube-apiserver has cached may hold ${kubeCaches}\n`;

/** A moment of Redis' clock, to the second. @param time milliseconds since 1970 */
export function momentText(time: number): string {
  return timeText(new Date(time - (time % 1_000)));
}

/** `confirmed by 3 of 3 replicas.` */
export function confirmationLine({ confirmed, unconfirmed }: Confirmation): string {
  const all = confirmed.length + unconfirmed.length;
  if (all === 0) return 'no gateway is running on this Redis: it takes effect when one starts.\n';
  return `confirmed by ${confirmed.length} of ${all} ${all === 1 ? 'replica' : 'replicas'}.\n`;
}

const meanings: Readonly<Record<Absence, string>> = {
  behind: 'it is there, and has not taken it in',
  silent: 'cut off from Redis, hanging or stopped',
  'other keys': 'its cache.redis.sealingKeys are not those of this config',
};

/** What went wrong or is to be known, a line each. */
export function remarks({ confirmation, unreadable, isAboveLimit, supersededBy }: Publication): readonly string[] {
  const { now, unconfirmed, gone } = confirmation;
  const heard = (heardAt: number) => `last heard of ${humanDuration(now - heardAt)} ago`;
  return [
    ...unconfirmed.map(({ id, heardAt, absence }) => {
      return `not confirmed by ${printable(id)}, ${heard(heardAt)}: ${meanings[absence]}`;
    }),
    ...(unconfirmed.length === 0
      ? []
      : [
          'a gateway that is cut off uses cached answers for at most 10 s more, and old ones while its backend is down; ' +
            'a block that it does not know it can not obey. Stop it, or mend its way to Redis, and run the command again',
        ]),
    ...gone.map(({ id, heardAt }) => `${printable(id)} is not counted: ${heard(heardAt)}`),
    ...unreadableRemark(unreadable),
    ...(isAboveLimit ? [fullRemark] : []),
    ...(supersededBy ? [overruledRemark(supersededBy)] : []),
  ];
}

const fullRemark =
  'the memory of the cache Redis is full, so the entry was written above its maxmemory. New answers are not shared until ' +
  'you raise maxmemory, or remove what else is in that Redis';

/** @param count of entries that none of the keys opens */
export function unreadableRemark(count: number): readonly string[] {
  if (count === 0) return [];
  const subject = count === 1 ? '1 entry of the list' : `${count} entries of the list`;
  return [`${subject} can not be opened, so whom it is about is not known: cache.redis.sealingKeys differ somewhere`];
}

function overruledRemark({ action, by, at }: Entry): string {
  return `overruled meanwhile: ${printable(by)} did ${action} them at ${momentText(at)}`;
}

/** On standard error, so that they are seen with `-o json`, too. */
export function tellRemarks(lines: readonly string[]): void {
  for (const line of lines) process.stderr.write(`sallyport: ${line}\n`);
}

export function exitCodeOf({ confirmation, supersededBy }: Publication): ExitCode {
  return confirmation.unconfirmed.length === 0 && supersededBy === undefined ? exitCodes.success : exitCodes.fault;
}

/** An entry in JSON. A token is named by its whole digest. */
export function entryJson({ action, kind, name, at, until, by, reason }: Entry): object {
  return {
    ...{ action, kind, ...(kind !== 'all' && { name }) },
    ...{ at: new Date(at), until: new Date(until), by, reason },
  };
}

/** What became of an entry, in JSON. */
export function announcementJson({ entry, confirmation, unreadable, isAboveLimit, supersededBy }: Publication): object {
  const { confirmed, unconfirmed, gone } = confirmation;
  const heard = ({ id, heardAt }: { id: string; heardAt: number }) => ({ replica: id, lastHeardAt: new Date(heardAt) });
  return {
    entry: entryJson(entry),
    confirmed,
    unconfirmed: unconfirmed.map((one) => ({ ...heard(one), problem: one.absence })),
    gone: gone.map(heard),
    unreadable,
    ...(isAboveLimit && { redisIsFull: true }),
    ...(supersededBy && { overruledBy: entryJson(supersededBy) }),
  };
}
