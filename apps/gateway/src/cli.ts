import './refuse-inspector.ts';
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addAuditVerbs } from './commands/audit/verbs.ts';
import { exampleText, pipedToken } from './commands/command-line.ts';
import { type ExitCode, exitCodes } from './commands/exit-codes.ts';
import { configOption, outputOption } from './commands/options.ts';
import { addStoppingVerbs } from './commands/stopping/verbs.ts';
import { addTokenVerbs } from './commands/token/verbs.ts';
import { UsageError } from './commands/usage-error.ts';
import { ConfigError, causeOf } from './config/problems.ts';

/** Commands are loaded when they are called, so that each starts as fast as it can. */
const program = new Command('sallyport')
  .description('Kubernetes webhook token authentication gateway')
  .version(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version)
  .addHelpText(
    'after',
    '\nExit status: 0 success, 1 something is wrong with the config, a file or a backend, 2 wrong usage,' +
      '\n3 explain: refused or unknown; revoke: there was no token to revoke.' +
      exampleText('serve --config /etc/sallyport/gateway.yaml'),
  )
  .exitOverride();
let exitCode: ExitCode = exitCodes.success;

program
  .command('serve')
  .description('answer token reviews until SIGTERM; SIGHUP reads all files anew')
  .addOption(configOption())
  .option('--listen <address>', "take the place of the config's server.listen, such as 127.0.0.1:8080")
  .option('--admin-listen <address>', "take the place of the config's admin.listen")
  .action(async (options) => {
    const { serve } = await import('./commands/serve.ts');
    exitCode = await serve(options);
  });

program
  .command('check')
  .description('check the config, its files and certificates, and reach each backend')
  .addOption(configOption())
  .addOption(outputOption())
  .addHelpText('after', '\nExit status: 0 all is well, 1 something is wrong, 2 wrong usage.')
  .action(async (options) => {
    const { check } = await import('./commands/check.ts');
    exitCode = await check(options);
  });

program
  .command('explain')
  .description('show what each authenticator says to a token, which is read from standard input')
  .option('--user <name>', 'no token: show what is known of this user, as Kubernetes sees them')
  .option('--exact', 'the name is right as it is, though it begins with no prefix of the config')
  .addOption(configOption())
  .addOption(outputOption())
  .option('--audience <audience...>', "what the review asks for; left out: the API server's own")
  .addHelpText(
    'after',
    `\nExit status: 0 authenticated (with --user: known), 1 could not be checked, 2 wrong usage, 3 refused or unknown.${exampleText('explain', pipedToken)}`,
  )
  .action(async (options) => {
    const { explain } = await import('./commands/explain.ts');
    exitCode = await explain(options);
  });

program
  .command('schema')
  .description(
    'print the JSON Schema of gateway.yaml, with the options of every plugin that is shipped or that --config uses',
  )
  .addOption(configOption())
  .action(async (options) => {
    const { schema } = await import('./commands/schema.ts');
    exitCode = await schema(options);
  });

program
  .command('lockouts')
  .description('list whose refused passwords are counted by the running gateways, and who is locked out')
  .addOption(configOption())
  .addOption(outputOption())
  .addHelpText('after', '\nExit status: 0 success, 1 the counts could not be read, 2 wrong usage.')
  .action(async (options) => {
    const { lockouts } = await import('./commands/lockouts.ts');
    exitCode = await lockouts(options);
  });

program
  .command('unlock')
  .description("forget a user's refused passwords, in all running gateways")
  .option('--user <name>', 'the user, as Kubernetes sees them, prefix included; required')
  .option('--exact', 'the name is right as it is, though it begins with no prefix of the config')
  .option('--reason <text>', 'what for')
  .option('--by <name>', 'who does it; left out: who runs this command')
  .option('--wait <duration>', 'how long to wait for all replicas to confirm it; left out: 5s')
  .addOption(configOption())
  .addOption(outputOption())
  .addHelpText(
    'after',
    `\nExit status: 0 done, and confirmed by all replicas; 1 not done, or not confirmed by all; 2 wrong usage; 3 nothing was locked.${exampleText('unlock --user corp:bob --reason "new password"')}`,
  )
  .action(async (options) => {
    const { unlock } = await import('./commands/unlock.ts');
    exitCode = await unlock(options);
  });

addStoppingVerbs(program, (code) => {
  exitCode = code;
});

addAuditVerbs(program.command('audit').description('work with the audit trail'), (code) => {
  exitCode = code;
});

addTokenVerbs(program.command('token').description('work with tokens'), (code) => {
  exitCode = code;
});

/** Says what is wrong, and gives the exit status for it. */
function explainError(error: unknown): ExitCode {
  // Commander has said it already; help and version are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.success : exitCodes.usage;
  const several = error instanceof ConfigError && error.problems.length > 1;
  const heading = several ? `${error.problems.length} faults in the config:\n` : '';
  process.stderr.write(`sallyport: ${heading}${causeOf(error)}\n`);
  return error instanceof UsageError ? exitCodes.usage : exitCodes.fault;
}

// Empty is what a template leaves of a variable that is not meant.
if (process.env.SALLYPORT_CONFIG === '') Reflect.deleteProperty(process.env, 'SALLYPORT_CONFIG');
// Looked at in the end: who reads may have gone, and what was begun is done all the same.
process.stdout.on('error', () => undefined);
try {
  await program.parseAsync();
} catch (error) {
  exitCode = explainError(error);
}
// Not the natural end: a plugin may have left a timer or a connection behind. What was printed goes out first.
process.stdout.write('', () => {
  const lost: NodeJS.ErrnoException | null = process.stdout.errored;
  // That is `head`, which has read enough.
  if (lost !== null && lost.code !== 'EPIPE') {
    exitCode = explainError(new Error(`standard output can't be written: ${causeOf(lost)}`));
  }
  process.stderr.write('', () => process.exit(exitCode));
});
