import { printable } from '../../base/logging/printable.ts';
import { wordsOf } from '../../config/problems.ts';
import { listedFactors } from '../../login/factors/factor-record.ts';
import { type ExitCode, exitCodes, printRemark } from '../output.ts';
import { countKnown, isComplete, issuersOf, revokeFound } from '../tokens/revoke.ts';
import type { EntryOptions, Prepared } from '../users/subject.ts';
import { requirePrefix } from '../users/user-names.ts';
import { factorCommand } from './factor-command.ts';
import { noteInAuditTrail } from './note-in-audit-trail.ts';
import { type FactorConfig, loadFactorConfig, withFactorStore } from './open-factors.ts';
import { factorCount, openInvitation, recordJson } from './record-texts.ts';
import { findUserRecords, type UserRecord, type UserRecords } from './user-records.ts';

/**
 * Removes the second factors of a user, and ends their sessions. It exits 0 only if every record that it found is removed and the
 * sessions have ended, and 3 if there was nothing. A remark says which records may not have been found.
 */
export async function resetFactors(
  options: EntryOptions & { readonly user: string },
): Promise<ExitCode> {
  const config = await loadFactorConfig(options, 'factor reset');
  const { user: name, by, reason } = options;
  await requirePrefix(config, 'user', name, options.exact);
  const draft: Prepared['draft'] = {
    action: 'factor-reset',
    kind: 'user',
    name,
    by,
    ...(reason !== undefined && { reason }),
  };
  const records = await withFactorStore(config, async (store) => {
    const found = await findUserRecords(config, store, name);
    for (const { identity } of found.records) await store.remove(identity);
    return found;
  });
  const isText = options.output === 'text';
  if (isText) process.stdout.write(`${removedLines(name, records).join('\n')}\n`);
  const isPublished = await publish(config, draft);
  const revocation: Prepared = { config, draft: { ...draft, action: 'revoke' }, token: undefined };
  const issuers = issuersOf(revocation, { ...options, authenticator: config.login.sessions });
  const { outcome, forgotten } = await revokeFound(
    revocation,
    revocation,
    issuers,
    options,
    recordsJson(records),
  );
  const isUnsure = remarkDoubts(name, records);
  if (isText && records.records.length > 0) {
    process.stdout.write(
      `To let the user add a second factor again: ${factorCommand('invite', name, options)}\n`,
    );
  }
  if (!isPublished || isUnsure || !isComplete(outcome) || forgotten !== exitCodes.success)
    return exitCodes.failure;
  const isNothing = records.records.length === 0 && countKnown(outcome) === 0;
  return isNothing ? exitCodes.negative : exitCodes.success;
}

/** Notes the reset. The revocation that follows waits for the replicas, which read both. */
async function publish(config: FactorConfig, draft: Prepared['draft']): Promise<boolean> {
  try {
    await noteInAuditTrail(config, draft);
    return true;
  } catch (error) {
    const { message, fix } = wordsOf(error);
    printRemark(`the audit trail of the gateways does not have the reset: ${message}`, fix);
    return false;
  }
}

function removedLines(name: string, { records }: UserRecords): readonly string[] {
  if (records.length === 0) return [`no second factor of user ${printable(name)} is stored.`];
  return records.map((one) => printable(removedLine(name, one)));
}

function removedLine(name: string, { identity, record }: UserRecord): string {
  const whose = `of user ${name} (${identity.authenticator})`;
  if (record === undefined)
    return `removed a record ${whose} that no gateway with these sealing keys wrote for them.`;
  const factors = listedFactors(record);
  const { length } = record.recovery;
  const parts = [
    ...(factors.length > 0 ? [factorCount(factors)] : []),
    ...(length > 0 ? [`${length} recovery ${length === 1 ? 'code' : 'codes'}`] : []),
    ...(openInvitation(record, Date.now()) ? ['an open invitation'] : []),
  ];
  return `removed ${parts.join(', ') || 'an empty record'} ${whose}.`;
}

function recordsJson({ records, ofOthers, unreadable, found }: UserRecords): object {
  const now = Date.now();
  return {
    removed: records.map(({ identity: { authenticator }, record }) =>
      record === undefined ? { authenticator, unreadable: true } : recordJson(record, now),
    ),
    ofOtherAccounts: ofOthers.length,
    unreadableRecords: unreadable,
    notAsked: found.unasked,
  };
}

/** Says what could not be checked. @returns whether nothing was found, and a directory may know of a record */
function remarkDoubts(
  name: string,
  { records, ofOthers, unreadable, found }: UserRecords,
): boolean {
  const shown = printable(name);
  if (ofOthers.length > 0)
    printRemark(
      `${ofOthers.length === 1 ? '1 record stays' : `${ofOthers.length} records stay`} that had the name ${shown}: the directory has another account of this name now`,
      'if it is the same person, or the account was deleted, the record has no effect',
    );
  if (found.unasked.length === 0) return false;
  const all = found.unasked.map(({ authenticator, reason }) => `${authenticator} (${reason})`);
  const left =
    unreadable > 0 ? `, or one of the ${unreadable} records that can't be read is theirs` : '';
  printRemark(
    `${printable(all.join(', '))} can't be asked, so it is not known whether the user had another name when a second factor was added${left}`,
    'run the command again when it can',
  );
  return records.length === 0;
}
