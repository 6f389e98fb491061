import { byOption, option, textOption } from '../options.ts';
import { confirmed, entryOptions, required, userOption } from './entry-options.ts';
import type { Program } from './program.ts';

/** Adds the commands about second factors. */
export function addFactorVerbs({ context, add, addFamily }: Program): void {
  const factor = addFamily(
    'factor',
    'invite users to add a second factor, list second factors, and reset them',
  );

  add(factor, 'invite', {
    description: 'make a code with which a user can add a second factor, and print it once',
    options: [
      required(userOption(' (required)')),
      option.exact,
      option.invitationFor,
      option.reason,
      byOption(context.environment),
      option.config,
      option.output,
    ],
    load: async () => (await import('../factors/invite.ts')).invite,
    exitStatus: { 0: 'invited', 1: 'nothing was written' },
    examples: { 'Invite a user for 24h': 'factor invite --user corp:jane --reason "first phone"' },
  });

  add(factor, 'list', {
    description: 'list second factors and open invitations, without anything that is secret',
    options: [
      textOption('--user <name>', 'list only second factors and invitations of this user'),
      option.exact,
      option.config,
      option.output,
    ],
    load: async () => (await import('../factors/list.ts')).listFactors,
    exitStatus: {
      0: 'success',
      1: 'they could not be read',
      3: 'no second factor and no invitation of this user',
    },
  });

  add(factor, 'reset', {
    description: 'remove all second factors of a user, and end all sessions of the user',
    options: [required(userOption(' (required)')), ...entryOptions(context)],
    load: async () => (await import('../factors/reset.ts')).resetFactors,
    exitStatus: { ...confirmed, 3: 'the user had no second factor, no invitation and no session' },
    examples: {
      'Reset the second factors of a user': 'factor reset --user corp:jane --reason "phone lost"',
    },
  });

  add(factor, 'reseal', {
    description: 'seal all second factors with the first of cache.redis.sealingKeys',
    options: [option.config, option.output],
    load: async () => (await import('../factors/reseal.ts')).resealFactors,
    exitStatus: { 0: 'no other sealing key is needed for them', 1: 'not all could be sealed' },
  });
}
