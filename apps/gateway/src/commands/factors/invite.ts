import { printable } from '../../base/logging/printable.ts';
import { describeError, FixableError } from '../../config/problems.ts';
import { sortReplicas } from '../../engine/revocation/confirmation.ts';
import { readReplicas } from '../../engine/revocation/replicas.ts';
import { createInvitation as inviteUser } from '../../login/factors/enrolment.ts';
import { listedFactors } from '../../login/factors/factor-record.ts';
import { type FactorStore, ForeignRecordError } from '../../login/factors/factor-store.ts';
import { withCacheRedis } from '../connections.ts';
import type { CommandContext } from '../context.ts';
import type { ReadOptions } from '../options.ts';
import { type ExitCode, exitCodes, printJson, UsageError } from '../output.ts';
import { commandLine, userWords } from '../printed-commands.ts';
import { momentText, optionDuration } from '../times.ts';
import { requirePrefix } from '../users/user-names.ts';
import { noteInAuditTrail } from './note-in-audit-trail.ts';
import { type FactorConfig, loadFactorConfig, needFactorStore } from './open-factors.ts';
import { findPeople, type Person, unaskedText } from './people.ts';
import {
  factorCount,
  type Invitation,
  invitationJson,
  invitationText,
  openInvitation,
} from './record-texts.ts';

interface InviteOptions extends ReadOptions {
  readonly user: string;
  readonly exact?: boolean;
  /** Milliseconds. */
  readonly for: number;
  readonly reason?: string;
  readonly by: string;
}

/** Invites a user to add a second factor, and prints the code once. */
export async function invite(context: CommandContext, options: InviteOptions): Promise<ExitCode> {
  const { user: name, by: inviter, reason, for: length } = options;
  const config = await loadFactorConfig(context, options, 'factor invite');
  await requirePrefix(context, config, 'user', name, { ...options, mustExist: true });
  const { user } = await findInvitee(context, config, name, options);
  await needFactorStore(context, config, async (store) => {
    const earlierRecord = await readEarlierRecord(context, store, user, options);
    // The trail comes first: there is no invitation that is not in it.
    await noteInvitation(context, config, {
      action: 'factor-invite',
      kind: 'user',
      name,
      by: inviter,
      ...(reason !== undefined && { reason }),
    });
    const now = context.now();
    const until = now + length;
    const code = await inviteUser(store, user, { by: inviter, reason, until }, now);
    const replacedInvitation = earlierRecord && openInvitation(earlierRecord, now);
    const factors = earlierRecord === undefined ? [] : listedFactors(earlierRecord);
    const usage = describeUsage(config, code);
    if (options.output === 'json') {
      printJson(context, {
        user: name,
        authenticator: user.authenticator,
        code,
        until: new Date(until),
        ...usage,
        replaced: replacedInvitation === undefined ? null : invitationJson(replacedInvitation),
        factors: factors.length,
      });
      return;
    }
    const lines = [
      `invited user ${name} to add one second factor until ${momentText(until)} (${optionDuration(length)}):`,
      '',
      ...(usage.url === undefined ? [] : [`  in a browser:   ${usage.url}`]),
      ...(usage.command === undefined
        ? []
        : [`  at a terminal:  ${usage.command}`, `                  which asks for: ${code}`]),
      '',
      'The code is shown only once. With it and the password, anyone can add a second factor and log in: give it to',
      'the user alone, over a channel where you know that it is them. Mail or chat that opens with the same password is not one.',
      ...moreLines(context, name, replacedInvitation, factors, options),
    ];
    context.stdout.write(`${lines.map(printable).join('\n')}\n`);
  });
  return exitCodes.success;
}

/** Notes the invitation, unless a gateway has other keys: it could read neither. @throws FixableError */
async function noteInvitation(
  context: CommandContext,
  config: FactorConfig,
  draft: Parameters<typeof noteInAuditTrail>[2],
): Promise<void> {
  try {
    const { unconfirmed } = await withCacheRedis(context, config, async (redis) =>
      sortReplicas(await readReplicas(redis), () => true),
    );
    const foreignReplicas = unconfirmed.filter(({ absence }) => absence === 'other keys');
    if (foreignReplicas.length > 0)
      throw new FixableError(
        `cache.redis.sealingKeys of this config differ from the keys of ${printable(foreignReplicas.map(({ id }) => id).join(', '))}, which could not read the invitation`,
        'give both the same keys, and run the command again',
      );
    await noteInAuditTrail(context, config, draft);
  } catch (error) {
    const { message, fix } = describeError(error);
    throw new FixableError(
      `nothing was done: ${message}`,
      fix ?? 'start the Redis of cache.redis, or correct its settings (docs/redis.md)',
    );
  }
}

/** Returns where an invitation can be used. An app can be added at a terminal, and a passkey in a browser alone. */
function describeUsage({ login }: FactorConfig, code: string) {
  const { browser, publicUrl, secondFactor } = login;
  return {
    url: browser ? `${new URL(publicUrl).origin}/login/factors/${code}` : undefined,
    command: secondFactor.methods.includes('totp') ? 'kubectl sallyport factor add' : undefined,
  };
}

function moreLines(
  context: CommandContext,
  name: string,
  replaced: Invitation | undefined,
  factors: Parameters<typeof factorCount>[0],
  options: InviteOptions,
): readonly string[] {
  const lines: string[] = [];
  if (replaced !== undefined)
    lines.push(`It takes the place of the open invitation ${invitationText(replaced)}.`);
  if (factors.length > 0) {
    lines.push(
      `The user has ${factorCount(factors)} already, which stay${factors.length === 1 ? 's' : ''} valid. If a second factor is lost or stolen, first run: ${commandLine(context, ['factor', 'reset', ...userWords(name, options.exact)])}`,
    );
  }
  return lines;
}

/** @throws FixableError if the record can't be read: an invitation would replace what it can't see */
async function readEarlierRecord(
  context: CommandContext,
  store: FactorStore,
  user: Person['user'],
  options: InviteOptions,
) {
  try {
    return await store.read(user);
  } catch (error) {
    if (!(error instanceof ForeignRecordError)) throw error;
    throw new FixableError(
      `nothing was done: the record of the second factor of user ${printable(user.name)} ${error.message}`,
      `if a gateway has other cache.redis.sealingKeys, give both the same keys; otherwise remove the record: ${commandLine(context, ['factor', 'reset', ...userWords(user.name, options.exact)])}`,
    );
  }
}

/** Finds who is invited, in the directory that logs them in. @throws UsageError, FixableError */
async function findInvitee(
  context: CommandContext,
  config: FactorConfig,
  name: string,
  options: InviteOptions,
): Promise<Person> {
  const { login } = config;
  const covered = login.secondFactor.authenticators ?? login.authenticators;
  const { people, otherNames, unasked } = await findPeople(context, config, name);
  const shown = printable(name);
  if (unasked.length > 0)
    throw new FixableError(
      `nothing was done: whether there is a user ${shown} is not known, since ${unaskedText(unasked)} can't be asked`,
      'run the command again when it can',
    );
  // A login ends at the first authenticator that knows the name.
  const [person] = people;
  if (person === undefined) {
    const lines = otherNames.map(
      (otherName) =>
        `\n  ${commandLine(context, ['factor', 'invite', ...userWords(otherName, options.exact)])}`,
    );
    if (lines.length > 0)
      throw new UsageError(
        `nothing was done: ${shown} is ${otherNames.map(printable).join(' or ')}, and names are as Kubernetes sees them`,
        `run:${lines.join('')}`,
      );
    throw new UsageError(
      `nothing was done: no user ${shown} is known to ${login.authenticators.join(', ')}`,
      `check the name, which is as Kubernetes sees it: ${commandLine(context, ['explain', ...userWords(name, options.exact)])}`,
    );
  }
  const { user, violation } = person;
  if (!covered.includes(user.authenticator))
    throw new UsageError(
      `nothing was done: ${shown} is a user of ${user.authenticator}, which login.secondFactor.authenticators does not include`,
      `add ${user.authenticator} there, or name a user of ${covered.join(', ')}`,
    );
  if (violation !== undefined)
    throw new FixableError(
      `nothing was done: the identity policy refuses user ${shown}, so they can't log in: ${violation}`,
      `change what the config allows authenticator ${user.authenticator}`,
    );
  return person;
}
