import { type Command, Option } from 'commander';
import { exampleText } from '../command-line.ts';
import type { ExitCode } from '../exit-codes.ts';
import { configOption, outputOption } from '../options.ts';

/** @param end takes the exit status of what was run */
type End = (code: ExitCode) => void;

const exitStatus =
  '\nExit status: 0 done, and confirmed by all replicas that are there; 1 not done, or not confirmed by all; 2 wrong usage';

const tokenOption = () => new Option('--token', 'the token that is read from standard input');
const groupOption = () => new Option('--group <name>', 'a group, as Kubernetes sees it, prefix included');
const userOption = () => new Option('--user <name>', 'a user, as Kubernetes sees them, prefix included');

/** The verbs that stop somebody. Each is loaded when it is called. */
export function addStoppingVerbs(program: Command, end: End): void {
  const revoke = program
    .command('revoke')
    .description(
      'revoke the issued tokens of a user, or one token, and have every replica forget what it cached of them',
    )
    .addOption(userOption())
    .addOption(tokenOption())
    .option('--digest <digits>', 'the token of this SHA-256 digest, as token list shows it; 8 digits or more')
    .option('--all', 'have all that is cached forgotten; no token is revoked')
    .option('--authenticator <name>', 'only tokens that this authenticator has issued');
  recorded(revoke)
    .addHelpText(
      'after',
      `${exitStatus}; 3 there was no token to revoke.${exampleText('revoke --user robot:ci --reason leaked')}`,
    )
    .action(async (options) => {
      const command = await import('./revoke.ts');
      end(await command.revoke(options));
    });
  const block = program
    .command('block')
    .description('refuse a user, a group or a token for a time, whatever a backend says')
    .addOption(userOption())
    .addOption(groupOption())
    .addOption(tokenOption())
    .option('--for <duration>', 'how long, such as 8h or 30d, at most 366d; required');
  recorded(block)
    .addHelpText('after', `${exitStatus}.${exampleText('block --user corp:jane --for 8h --reason "laptop stolen"')}`)
    .action(async (options) => {
      const command = await import('./block.ts');
      end(await command.block(options));
    });
  const unblock = program
    .command('unblock')
    .description('end a block before its time')
    .addOption(userOption())
    .addOption(groupOption())
    .addOption(tokenOption());
  recorded(unblock)
    .addHelpText('after', `${exitStatus}.`)
    .action(async (options) => {
      const command = await import('./unblock.ts');
      end(await command.unblock(options));
    });
  program
    .command('blocks')
    .description('list who is blocked, the newest first')
    .addOption(configOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExit status: 0 success, 1 the list could not be read, 2 wrong usage.')
    .action(async (options) => {
      const { listBlocks } = await import('./blocks.ts');
      end(await listBlocks(options));
    });
}

function recorded(command: Command): Command {
  return command
    .option('--exact', 'the name is right as it is, though it begins with no prefix of the config')
    .option('--reason <text>', 'what for')
    .option('--by <name>', 'who does it; left out: who runs this command')
    .option('--wait <duration>', 'how long to wait for all replicas to confirm it; left out: 5s')
    .addOption(configOption())
    .addOption(outputOption());
}
