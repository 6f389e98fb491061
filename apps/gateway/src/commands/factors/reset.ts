import { printable } from '../../base/logging/printable.ts';
import { describeError } from '../../config/problems.ts';
import { listedFactors } from '../../login/factors/factor-record.ts';
import type { FactorStore } from '../../login/factors/factor-store.ts';
import { createFactorPolicy } from '../../login/factors/policy.ts';
import { clearLockouts, forgotLine, unlockLifetime } from '../blocks/lockouts.ts';
import { publishEntry } from '../blocks/report.ts';
import { withCacheRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import { type ExitCode, exitCodes, printRemark } from '../output.ts';
import { commandLine, userWords } from '../printed-commands.ts';
import { findIssuers } from '../tokens/revoke.ts';
import { isComplete } from '../tokens/revoke-outcome.ts';
import { revokeTokens } from '../tokens/revoke-tokens.ts';
import { remarkUnknown } from '../users/name-check.ts';
import { lockoutJson, type NamedLockout } from '../users/named-lockouts.ts';
import type { EntryOptions, EntryPlan } from '../users/subject.ts';
import { requirePrefix } from '../users/user-names.ts';
import { noteInAuditTrail } from './note-in-audit-trail.ts';
import { type FactorConfig, loadFactorConfig, needFactorStore } from './open-factors.ts';
import { unaskedText } from './people.ts';
import { factorCount, openInvitation, recordJson } from './record-texts.ts';
import { findUserRecords, type UserRecord, type UserRecords } from './user-records.ts';

/**
 * Removes the second factors of a user, forgets wrong codes, and ends the sessions. It exits 0 only if no record of the user can be left
 * and the sessions have ended, and 3 if there was nothing.
 */
export async function resetFactors(
  context: CommandContext,
  options: EntryOptions & { readonly user: string },
): Promise<ExitCode> {
  const config = await loadFactorConfig(context, options, 'factor reset');
  const { user: name, by: author, reason } = options;
  await requirePrefix(context, config, 'user', name, options);
  const draft: EntryPlan['draft'] = {
    action: 'factor-reset',
    kind: 'user',
    name,
    by: author,
    ...(reason !== undefined && { reason }),
  };
  const records = await removeRecords(context, config, name, options.exact);
  const isText = options.output === 'text';
  const lines = records.records.map((userRecord) => removedLine(context, name, userRecord));
  if (lines.length === 0) lines.push(`no second factor of user ${name} is stored.`);
  if (isText) context.stdout.write(`${lines.map(printable).join('\n')}\n`);
  const unlocked = await publish(context, config, draft);
  if (isText)
    context.stdout.write((unlocked ?? []).map((lockout) => forgotLine(name, lockout)).join(''));
  const revocation: EntryPlan = { config, draft: { ...draft, action: 'revoke' }, token: undefined };
  const issuers = findIssuers(context, revocation, {
    ...options,
    authenticator: config.login.sessions,
  });
  const { outcome, forgotten } = await revokeTokens(context, revocation, issuers, options, {
    json: { ...recordsJson(context, records), unlocked: unlocked?.map(lockoutJson) ?? null },
    nextLogin: againText(config, records),
    listsEarlier: false,
  });
  const isUnsure = remarkDoubts(context, config, name, records);
  if (isText && records.records.length > 0) {
    context.stdout.write(
      `To let the user add a second factor again: ${commandLine(context, ['factor', 'invite', ...userWords(name, options.exact)])}\n`,
    );
  }
  if (!unlocked || isUnsure || !isComplete(outcome) || forgotten !== exitCodes.success)
    return exitCodes.failure;
  const isNothing = records.records.length + unlocked.length + outcome.revoked.length === 0;
  return isNothing ? exitCodes.negative : exitCodes.success;
}

/** @throws FixableError if the store fails */
function removeRecords(
  context: CommandContext,
  config: FactorConfig,
  name: string,
  isExact?: boolean,
): Promise<UserRecords> {
  let removed = 0;
  const remove = async (store: FactorStore) => {
    const userRecords = await findUserRecords(context, config, store, name);
    for (const { identity } of userRecords.records) {
      await store.remove(identity);
      removed += 1;
    }
    return userRecords;
  };
  const block = commandLine(context, ['block', ...userWords(name, isExact), '--for', '8h']);
  return needFactorStore(context, config, remove, {
    undone: () =>
      removed === 0
        ? 'nothing was done'
        : `only ${removed} of the records are removed, and no session has ended`,
    alternative: `Until then, to refuse the user: ${block}`,
  });
}

/**
 * Has the audit trail of each replica note it, and ends lockouts: wrong codes of a lost app must not refuse the new one. The revocation
 * that follows waits for the replicas, which read all three.
 *
 * @returns the lockouts that are ended. Undefined: it failed
 */
async function publish(
  context: CommandContext,
  config: FactorConfig,
  draft: EntryPlan['draft'],
): Promise<readonly NamedLockout[] | undefined> {
  try {
    await noteInAuditTrail(context, config, draft);
    const { name } = draft;
    const cleared = await withCacheRedis(context, config, (redis) =>
      clearLockouts(redis, config, name),
    );
    await publishEntry(context, config, { wait: 0 }, ({ now }) => ({
      ...draft,
      action: 'unlock',
      until: now + unlockLifetime,
    }));
    return cleared;
  } catch (error) {
    const { message, fix } = describeError(error);
    printRemark(
      context,
      `the gateways did not learn of the reset, so their audit trail lacks it, and wrong codes may still refuse the user: ${message}`,
      fix,
    );
    return undefined;
  }
}

/** Says what the user needs for the next login. */
function againText({ login }: FactorConfig, { search }: UserRecords): string {
  const { isRequired } = createFactorPolicy(login);
  const { required } = login.secondFactor;
  const needs = "The user can't log in until they have used a new invitation.";
  const needsNone = 'The password alone is enough to log in now.';
  if (search.people.length > 0) {
    const requirements = search.people.map(({ user, groups }) =>
      isRequired(user.authenticator, groups),
    );
    return requirements.includes(true) ? needs : needsNone;
  }
  if (required === 'all') return needs;
  if (required === 'none') return needsNone;
  return `A member of ${required.groups.join(', ')} can't log in until they have used a new invitation; for others, the password alone is enough now.`;
}

function removedLine(
  context: CommandContext,
  name: string,
  { identity, record }: UserRecord,
): string {
  const whose = `of user ${name} (${identity.authenticator})`;
  if (record === undefined)
    return `removed a record ${whose} that no gateway with these sealing keys wrote for them.`;
  const factors = listedFactors(record);
  const { length } = record.recovery;
  const removedParts = [
    ...(factors.length > 0 ? [factorCount(factors)] : []),
    ...(length > 0 ? [`${length} recovery ${length === 1 ? 'code' : 'codes'}`] : []),
    ...(openInvitation(record, context.now()) ? ['an open invitation'] : []),
  ];
  return `removed ${removedParts.join(', ') || 'an empty record'} ${whose}.`;
}

function recordsJson(
  context: CommandContext,
  { records, recordsOfOthers, unreadable, search }: UserRecords,
): object {
  const now = context.now();
  return {
    removed: records.map(({ identity: { authenticator }, record }) =>
      record === undefined ? { authenticator, unreadable: true } : recordJson(record, now),
    ),
    ofOtherAccounts: recordsOfOthers.length,
    unreadableRecords: unreadable,
    notAsked: search.unasked,
  };
}

/** Reports what is not known. @returns whether a directory can't be asked, so that a record of the user may be left */
function remarkDoubts(
  context: CommandContext,
  { login }: FactorConfig,
  name: string,
  { records, recordsOfOthers, unreadable, search }: UserRecords,
): boolean {
  const shown = printable(name);
  if (recordsOfOthers.length > 0)
    printRemark(
      context,
      `${recordsOfOthers.length === 1 ? '1 record stays' : `${recordsOfOthers.length} records stay`} that had the name ${shown}: the directory has another account of this name now`,
      'if it is the same person, or the account was deleted, the record has no effect',
    );
  const isKnown = [search.people, search.otherNames, search.unasked, records].some(
    ({ length }) => length > 0,
  );
  if (!isKnown) remarkUnknown(context, name);
  const { isCovered } = createFactorPolicy(login);
  const unasked = search.unasked.filter(({ authenticator }) => isCovered(authenticator));
  if (unasked.length === 0) return false;
  const removed = records.length > 0 ? 'what was found is removed, but ' : '';
  const unreadableNote =
    unreadable > 0 ? `, or one of the ${unreadable} records that can't be read is theirs` : '';
  printRemark(
    context,
    `${removed}${unaskedText(unasked)} can't be asked, so it is not known whether the user had another name when a second factor was added${unreadableNote}`,
    'run the command again when it can',
  );
  return true;
}
