import { type Command, Option } from 'commander';
import { exampleText, programFor } from '../command-line.ts';
import type { ExitCode } from '../exit-codes.ts';
import { configOption, outputOption } from '../options.ts';
import { UsageError } from '../usage-error.ts';

/** @param end takes the exit status of what was run */
type End = (code: ExitCode) => void;

const authenticatorOption = () =>
  new Option('--authenticator <name>', 'whose tokens, when several authenticators of the config issue some');

const exitStatus = '\nExit status: 0 success, 1 it could not be done, or not all of it, 2 wrong usage.';

/** The verbs of `sallyport token`. Each is loaded when it is called. */
export function addTokenVerbs(token: Command, end: End): void {
  addCreate(token, end);
  addList(token, end);
  addFormerRevoke(token);
  addHash(token, end);
}

function addCreate(token: Command, end: End): void {
  token
    .command('create')
    .description('make a token and print it, once: nothing keeps it')
    .addOption(configOption())
    .addOption(authenticatorOption())
    .requiredOption('--user <name>', "who the token belongs to, without the authenticator's username prefix")
    .option('--ttl <duration>', 'how long it is good, such as 8h or 30d, or never for a token without an end; required')
    .option('--uid <uid>', 'stays with the person when the username is given to somebody else')
    .option('--group <group...>', "a group of theirs, without the authenticator's group prefix; may be repeated")
    .option('--extra <key=value...>', 'more about them for Kubernetes; may be repeated, one key too')
    .option('--audience <audience...>', 'an audience that the token is bound to; may be repeated')
    .option('--not-before <time>', 'when it begins to be good, such as 2030-01-31T12:00:00Z; left out: at once')
    .option('--reason <text>', 'what it is for')
    .option('--by <name>', 'who has it made; left out: who runs this command')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `${exitStatus}${exampleText('token create --user jane --group dev --ttl 8h')}` +
        '\nThe token alone is on standard output, all else on standard error; with -o json, all is on standard output.',
    )
    .action(async (options) => {
      const { createToken } = await import('./create.ts');
      end(await createToken(options));
    });
}

function addList(token: Command, end: End): void {
  token
    .command('list')
    .description('list the tokens that were made, the newest first; never the tokens themselves')
    .addOption(configOption())
    .addOption(authenticatorOption())
    .option('--user <name>', 'of this user only, with the username prefix or without')
    .option('--digest <digits>', 'of this SHA-256 digest only, or of those that begin with it')
    .addOption(outputOption())
    .addHelpText('after', exitStatus)
    .action(async (options) => {
      const { listTokens } = await import('./list.ts');
      end(await listTokens(options));
    });
}

/** It was a command of its own; hidden from help, so that it is found by those who remember it alone. */
function addFormerRevoke(token: Command): void {
  token
    .command('revoke', { hidden: true })
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {
      throw new UsageError(
        `use "${programFor('revoke')} revoke" in place of token revoke; --user is with its prefix there`,
      );
    });
}

function addHash(token: Command, end: End): void {
  token
    .command('hash')
    .description('make an entry of a static tokens file from a token, which is read from standard input')
    .requiredOption('--user <name>', 'who the token belongs to')
    .option('--uid <uid>', 'stays with the person when the username is given to somebody else')
    .option('--group <group...>', 'a group of theirs; may be repeated')
    .option('--audience <audience...>', 'an audience that the token is bound to; may be repeated')
    .option('--ttl <duration>', 'how long it is good, such as 8h or 30d; left out, or never: without an end')
    .option('--generate', 'make a random token and print it, once, instead of reading one')
    .addOption(outputOption())
    .action(async (options) => {
      const { tokenHash } = await import('./hash.ts');
      end(await tokenHash(options));
    });
}
