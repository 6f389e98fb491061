import type { ListedFactor } from '../../login/factors/factor-record.ts';
import { listedFactors } from '../../login/factors/factor-record.ts';
import type { FactorStore, ListedRecord } from '../../login/factors/factor-store.ts';
import { areCodesLocked } from '../../login/factors/second-factor.ts';
import type { CommandContext } from '../context.ts';
import type { ReadOptions } from '../options.ts';
import { exitCodes, printJson, printRemark, printTable } from '../output.ts';
import { commandLine, userWords } from '../printed-commands.ts';
import { momentText, roundedDuration } from '../times.ts';
import { findUser, remarkFound } from '../users/user-names.ts';
import { type FactorConfig, loadFactorConfig, needFactorStore } from './open-factors.ts';
import { openInvitation, recordJson } from './record-texts.ts';

type ListOptions = ReadOptions & { readonly user?: string; readonly exact?: boolean };

/** A record that can be read. */
type ReadableRecord = ListedRecord & { readonly record: NonNullable<ListedRecord['record']> };

/** Lists second factors and open invitations. Exits 3 if the user who is asked for has neither. */
export async function listFactors(context: CommandContext, options: ListOptions) {
  const config = await loadFactorConfig(context, options, 'factor list');
  const name = await findName(context, config, options);
  const { readable, unreadable } = await needFactorStore(context, config, readAll);
  const listed = readable.filter(({ record }) => name === undefined || record.user.name === name);
  const now = context.now();
  if (options.output === 'json') {
    const records = listed.map(({ record, hasOlderKey }) => ({
      ...recordJson(record, now),
      hasOlderKey,
    }));
    printJson(context, { records, unreadable: unreadable.map(({ key }) => ({ key })) });
  } else if (listed.length > 0) printRecords(context, listed, now);
  else if (unreadable.length === 0 && name === undefined)
    printRemark(context, 'there are no second factors');
  if (name !== undefined && listed.length === 0)
    printRemark(
      context,
      `no second factor and no invitation of user ${name}`,
      `list all: ${commandLine(context, ['factor', 'list'])}`,
    );
  remarkLocked(context, listed, options);
  remarkUnreadable(context, unreadable);
  remarkOlderKeys(context, listed);
  // One of them may be of the user who is asked for.
  if (unreadable.length > 0) return exitCodes.failure;
  return name !== undefined && listed.length === 0 ? exitCodes.negative : exitCodes.success;
}

async function findName(
  context: CommandContext,
  config: FactorConfig,
  { user, exact }: ListOptions,
): Promise<string | undefined> {
  if (user === undefined) return undefined;
  const { name, doubt } = await findUser(context, config, user, { isExact: exact });
  remarkFound(context, user, name, doubt);
  return name;
}

/** Reads all records, and sorts the records that can be read by the names of their users. */
export async function readAll(store: FactorStore) {
  const readable: ReadableRecord[] = [];
  const unreadable: ListedRecord[] = [];
  for await (const listedRecord of store.list()) {
    const { record } = listedRecord;
    if (record === undefined) unreadable.push(listedRecord);
    else readable.push({ ...listedRecord, record });
  }
  const byName = ({ record: a }: ReadableRecord, { record: b }: ReadableRecord) =>
    a.user.name < b.user.name ? -1 : 1;
  return { readable: readable.sort(byName), unreadable };
}

function printRecords(context: CommandContext, listed: readonly ReadableRecord[], now: number) {
  const ago = (time: number) => `${roundedDuration(now - time)} ago`;
  const rows = listed.flatMap(({ record }) =>
    listedFactors(record).map(({ method, name, addedAt, usedAt }: ListedFactor) => {
      return [record.user.name, method, name, ago(addedAt), usedAt ? ago(usedAt) : 'never'];
    }),
  );
  if (rows.length > 0) printTable(context, ['USER', 'METHOD', 'NAME', 'ADDED', 'LAST USE'], rows);
  const invitationRows = listed.flatMap(({ record }) => {
    const invitation = openInvitation(record, now);
    if (invitation === undefined) return [];
    const { until, by: inviter, reason = '' } = invitation;
    return [[record.user.name, momentText(until), inviter, reason]];
  });
  if (invitationRows.length === 0) return;
  context.stdout.write(`${rows.length > 0 ? '\n' : ''}OPEN INVITATIONS\n`);
  printTable(context, ['USER', 'UNTIL', 'BY', 'REASON'], invitationRows);
}

function remarkLocked(
  context: CommandContext,
  listed: readonly ReadableRecord[],
  options: ListOptions,
): void {
  for (const { record } of listed.filter(({ record }) => areCodesLocked(record, context.now()))) {
    const { name } = record.user;
    printRemark(
      context,
      `no code of user ${name} is accepted: too many were wrong in the last 30d`,
      `if it was the user, run: ${commandLine(context, ['factor', 'reset', ...userWords(name, options.exact)])}`,
    );
  }
}

/** Says that records can't be read, and what to do about it. */
export function remarkUnreadable(context: CommandContext, unreadable: readonly ListedRecord[]) {
  const [firstRecord] = unreadable;
  if (firstRecord === undefined) return;
  const { message, fix } = unreadableText(unreadable.length, firstRecord.key);
  printRemark(context, message, fix);
}

/** Describes records that can't be read. @param key one of them */
export function unreadableText(count: number, key: string) {
  const [subject, whose] =
    count === 1
      ? [`1 record of second factors (${key})`, 'its user is']
      : [`${count} records of second factors (such as ${key})`, 'their users are'];
  return {
    message: `${subject} can't be opened with cache.redis.sealingKeys of this config: ${whose} refused`,
    fix: "if a gateway or a command has other keys, give all of them the same keys; if a key was removed, add it again at the end. Otherwise run factor reset for each user who can't log in",
  };
}

function remarkOlderKeys(context: CommandContext, listed: readonly ReadableRecord[]): void {
  const count = listed.filter(({ hasOlderKey }) => hasOlderKey).length;
  if (count === 0) return;
  printRemark(
    context,
    `${count === 1 ? '1 record is' : `${count} records are`} sealed with an older key of cache.redis.sealingKeys, which must stay there`,
    `to seal all with the first key, run: ${commandLine(context, ['factor', 'reseal'])}`,
  );
}
