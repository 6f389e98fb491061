import type { GatewayConfig } from '../../config/types.ts';
import {
  type Confirmation,
  type ConfirmationWait,
  isConfirmed,
  type Publication,
  publishAndConfirm,
} from '../../engine/revocation/confirmation.ts';
import type { Entry } from '../../engine/revocation/list.ts';
import type { Draft } from '../../engine/revocation/publish.ts';
import type { Listing } from '../../engine/revocation/redis-list.ts';
import { withCacheRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import { createInterrupt } from '../interrupt.ts';
import type { ReadOptions } from '../options.ts';
import { type ExitCode, exitCodes, printJson, printRemark } from '../output.ts';
import { countReplicas, remarks } from './remarks.ts';

// kube-apiserver has two caches: --authentication-token-webhook-cache-ttl, 2m0s by default, and 10 s around all authenticators.
// The second one contains accepted tokens only.
const fromItsCache = (byDefault: string, asAdvised: string) =>
  `from its own cache for up to ${byDefault},\nor ${asAdvised} with --authentication-token-webhook-cache-ttl=30s, as init prints it.\n`;

export const mayStillPass =
  `kube-apiserver can accept answers ${fromItsCache('2m10s', '40s')}` +
  'Open connections (exec, logs -f, watch) continue.\n';

export const mayStillBeRefused = `kube-apiserver can repeat refusals ${fromItsCache('2m', '30s')}`;

/**
 * Writes an entry, and waits for the replicas. Ctrl-C ends the wait and not the command: it prints who has confirmed by then.
 *
 * @param options of the command: how long it waits, and for how many replicas
 */
export function publishEntry(
  context: CommandContext,
  config: GatewayConfig,
  { wait, expect }: Omit<ConfirmationWait, 'signal'>,
  draft: (listing: Listing) => Draft,
): Promise<Publication> {
  return withCacheRedis(context, config, async (redis) => {
    using interrupt = createInterrupt();
    const publication = await publishAndConfirm(redis, draft, {
      wait,
      expect,
      signal: interrupt.signal,
    });
    // Then gateways begin a list by themselves, and no one must do anything.
    const beginsAlone = config.cache.redis?.startWithoutBlocks === true;
    return { ...publication, hadList: publication.hadList || beginsAlone };
  });
}

/** Prints what became of an entry. @param texts are printed before and after the line that says who has confirmed */
export function report(
  context: CommandContext,
  publication: Publication,
  output: ReadOptions['output'],
  [effect, advice]: readonly [effect: string, advice: string],
  toJson: (published: object) => object = (published) => published,
): ExitCode {
  if (output === 'json') printJson(context, toJson(publicationJson(publication)));
  else context.stdout.write(effect + confirmationLine(publication.confirmation) + advice);
  for (const { message, fix } of remarks(publication)) printRemark(context, message, fix);
  return chooseExitCode(publication);
}

/** Returns `confirmed by 3 of 3 replicas.` */
export function confirmationLine(confirmation: Confirmation): string {
  const { confirmed } = confirmation;
  const count = countReplicas(confirmation);
  if (count === 0) return 'no gateway has confirmed it: it takes effect when one starts.\n';
  return `confirmed by ${confirmed.length} of ${count} ${count === 1 ? 'replica' : 'replicas'}.\n`;
}

export function chooseExitCode({
  confirmation,
  supersededBy,
  hadList,
  entry,
}: Pick<Publication, 'confirmation' | 'supersededBy' | 'hadList' | 'entry'>): ExitCode {
  // A Redis that lost its list has lost the notes of replicas too: one that is cut off is not known.
  const isCounted = hadList || entry.kind === 'all' || confirmation.expected !== undefined;
  return isConfirmed(confirmation) && supersededBy === undefined && isCounted
    ? exitCodes.success
    : exitCodes.failure;
}

/** Makes the JSON of an entry. A token is named by its whole digest. */
export function entryJson(entry: Entry): object {
  const { action, kind, name } = entry;
  return {
    action,
    kind,
    ...(kind !== 'all' && { name }),
    at: new Date(entry.at),
    until: new Date(entry.until),
    by: entry.by,
    reason: entry.reason,
  };
}

export function publicationJson({
  entry,
  confirmation,
  unreadable,
  isAboveLimit,
  supersededBy,
}: Publication): object {
  const { confirmed, unconfirmed, longSilent } = confirmation;
  const heardJson = ({ id, heardAt }: { id: string; heardAt: number }) => ({
    replica: id,
    lastHeardAt: new Date(heardAt),
  });
  return {
    entry: entryJson(entry),
    confirmed,
    unconfirmed: unconfirmed.map((replica) => ({
      ...heardJson(replica),
      problem: replica.absence,
    })),
    gone: longSilent.map(heardJson),
    unreadable: unreadable.count,
    ...(isAboveLimit && { redisIsFull: true }),
    ...(supersededBy && { supersededBy: entryJson(supersededBy) }),
  };
}
