import { Option } from 'commander';
import { digestOption, jtiOption, option, textOption } from '../options.ts';
import { confirmed, entryOptions, required, tokenOption, userOption } from './entry-options.ts';
import type { Program } from './program.ts';

const groupOption = textOption(
  '--group <name>',
  'name of the group in Kubernetes, with its prefix',
);
const sidOption = () => textOption('--sid <id>', 'sid of the session: all its tokens');
const blockable = [userOption(), groupOption, tokenOption, jtiOption(), sidOption()];

/** Adds the commands that block, revoke and unlock. */
export function addBlockVerbs({ program, context, add }: Program): void {
  add(program, 'block', {
    description: 'refuse a user, group, token or session for a time, on every replica',
    options: [...blockable, option.for, ...entryOptions(context)],
    load: async () => (await import('../blocks/block.ts')).block,
    tokenCall: 'block --token --for 30d',
    exitStatus: confirmed,
    examples: {
      'Block a user for 8h': 'block --user corp:jane --for 8h --reason "laptop stolen"',
      'Block a token, which you type at a prompt': 'block --token --for 30d',
    },
  });

  add(program, 'unblock', {
    description: 'remove a block before it expires',
    options: [
      ...blockable,
      digestOption('at least 8 digits of the SHA-256 digest of the token, as shown by blocks', 8),
      ...entryOptions(context),
    ],
    load: async () => (await import('../blocks/block.ts')).unblock,
    tokenCall: 'unblock --token',
    exitStatus: confirmed,
    examples: { 'Remove the block of a user': 'unblock --user corp:jane' },
  });

  add(program, 'blocks', {
    description: 'list blocks, newest first',
    options: [option.config, option.output],
    load: async () => (await import('../blocks/block.ts')).listBlocks,
    exitStatus: { 0: 'success', 1: 'the list could not be read' },
  });

  add(program, 'revoke', {
    description: 'revoke issued tokens and clear their cached answers on every replica',
    options: [
      userOption('; revokes all tokens of the user'),
      tokenOption,
      digestOption(
        'at least 8 digits of the SHA-256 digest of the token, as shown by token list',
        8,
      ),
      new Option(
        '--all',
        'clear all cached answers on every replica; no token is revoked',
      ).conflicts('authenticator'),
      textOption('--authenticator <name>', 'revoke only tokens that this authenticator issued'),
      // They are hidden: the command says that it can't revoke these, and what to run.
      jtiOption().hideHelp(),
      sidOption().hideHelp(),
      ...entryOptions(context),
    ],
    load: async () => (await import('../tokens/revoke.ts')).revoke,
    tokenCall: 'revoke --token',
    exitStatus: { ...confirmed, 3: 'no token to revoke' },
    examples: {
      'Revoke all tokens of a user': 'revoke --user robot:ci --reason leaked',
      'End all sessions of a user': 'revoke --user corp:jane --authenticator sessions',
    },
  });

  add(program, 'lockouts', {
    description: 'list users with failed logins, and which of them are locked out',
    options: [option.config, option.output],
    load: async () => (await import('../blocks/lockouts.ts')).lockouts,
    exitStatus: { 0: 'success', 1: 'the list could not be read' },
  });

  add(program, 'unlock', {
    description: 'reset the failed-login count of a user on every replica',
    options: [required(userOption(' (required)')), ...entryOptions(context)],
    load: async () => (await import('../blocks/lockouts.ts')).unlock,
    exitStatus: { ...confirmed, 3: 'no failed logins were counted for this user' },
    examples: { 'Unlock a user': 'unlock --user corp:bob --reason "new password"' },
  });
}
