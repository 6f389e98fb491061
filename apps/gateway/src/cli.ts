#!/usr/bin/env node
import { Command, CommanderError, Option } from 'commander';
import { exitCodes } from './commands/exit-codes.ts';

/** Commands are loaded when they are called, so that each starts as fast as it can. */
const program = new Command('sallyport')
  .description('Kubernetes webhook token authentication gateway')
  .configureHelp({ sortSubcommands: false })
  .exitOverride();

const configOption = () => new Option('--config <file>', 'the gateway.yaml to use').env('SALLYPORT_CONFIG');
const outputOption = () =>
  new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text');

program
  .command('serve')
  .description('answer token reviews until SIGTERM; SIGHUP reads all files anew')
  .addOption(configOption())
  .option('--listen <address>', "take the place of the config's server.listen, such as 127.0.0.1:8080")
  .option('--admin-listen <address>', "take the place of the config's admin.listen")
  .action(async (options) => {
    const { serve } = await import('./commands/serve.ts');
    process.exitCode = await serve(options);
  });

program
  .command('check')
  .description('check the config, its files and certificates, and reach each backend')
  .addOption(configOption())
  .addOption(outputOption())
  .addHelpText('after', '\nExit status: 0 all is well, 1 something is wrong, 2 wrong usage.')
  .action(async (options) => {
    const { check } = await import('./commands/check.ts');
    process.exitCode = await check(options);
  });

program
  .command('explain')
  .description('show what each authenticator says to a token, which is read from standard input')
  .addOption(configOption())
  .addOption(outputOption())
  .option('--audience <audience...>', "what the review asks for; left out: the API server's own")
  .addHelpText(
    'after',
    '\nExit status: 0 authenticated, 1 could not be checked, 2 wrong usage, 3 refused or unknown.' +
      '\nExample: read -rs T; printf %s "$T" | sallyport explain',
  )
  .action(async (options) => {
    const { explain } = await import('./commands/explain.ts');
    process.exitCode = await explain(options);
  });

program
  .command('schema')
  .description(
    'print the JSON Schema of gateway.yaml, with the options of every plugin that is shipped or that --config uses',
  )
  .addOption(configOption())
  .action(async (options) => {
    const { schema } = await import('./commands/schema.ts');
    process.exitCode = await schema(options);
  });

program
  .command('token')
  .description('work with tokens')
  .command('hash')
  .description('make an entry of a static tokens file from a token, which is read from standard input')
  .requiredOption('--username <name>', 'who the token belongs to')
  .option('--uid <uid>', 'stays with the person when the username is given to somebody else')
  .option('--group <group...>', 'a group of theirs; may be repeated')
  .option('--expires-at <time>', 'when the token ends, such as 2030-01-31T12:00:00Z')
  .option('--generate', 'make a random token and print it, once, instead of reading one')
  .addOption(outputOption())
  .action(async (options) => {
    const { tokenHash } = await import('./commands/token-hash.ts');
    process.exitCode = await tokenHash(options);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong; help and version are no errors.
    process.exitCode = error.exitCode === 0 ? exitCodes.success : exitCodes.usage;
  } else {
    process.stderr.write(`sallyport: ${error instanceof Error ? error.message : 'failed'}\n`);
    process.exitCode = exitCodes.fault;
  }
}
