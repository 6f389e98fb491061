import './refuse-inspector.ts';
import { Command, CommanderError, Option } from 'commander';
import { manifest } from './base/package-files.ts';
import {
  addressOption,
  digestOption,
  jtiOption,
  option,
  textOption,
  ttlOption,
} from './commands/options.ts';
import { type ExitCode, exitCodes, UsageError } from './commands/output.ts';
import { exampleText, pipedToken } from './commands/printed-commands.ts';
import { ConfigError, causeOf } from './config/problems.ts';

const program = new Command('sallyport')
  .description('Kubernetes webhook token authentication gateway')
  .version(manifest.version)
  .addHelpText(
    'after',
    '\nExit status: 0 success, 1 something is wrong with the config, a file or a backend, 2 wrong usage,' +
      '\n3 explain: refused or unknown; revoke, unlock, token list: there was nothing to revoke, unlock or list.' +
      exampleText('serve'),
  )
  .configureOutput({ outputError: (text, write) => write(withExample(text)) })
  .exitOverride();
let exitCode: ExitCode = exitCodes.success;

/** Adds what to write to an error of commander's own about a duration that is missing. */
function withExample(error: string): string {
  return error.replace(
    /^(error: required option '(--\w+) <duration>' not specified)\n$/,
    '$1: add it, such as $2 8h\n',
  );
}

interface Verb<Options> {
  readonly description: string;
  readonly options: readonly Option[];
  /** Loads the code of the verb when it is called, so that each command starts as fast as it can. */
  readonly load: () => Promise<(options: Options) => Promise<ExitCode>>;
  readonly exitStatus?: string;
  readonly help?: string;
}

function add<Options>(parent: Command, name: string, verb: Verb<Options>): Command {
  const { description, options, load, exitStatus, help = '' } = verb;
  const command = parent.command(name).description(description);
  for (const one of options) command.addOption(one);
  return command
    .addHelpText('after', (exitStatus === undefined ? '' : `\nExit status: ${exitStatus}.`) + help)
    .action(async () => {
      const run = await load();
      exitCode = await run({
        ...command.opts(),
        configSource: command.getOptionValueSource('config'),
        dir: command.args[0],
      } as Options);
    });
}

add(program, 'init', {
  description:
    'make a config, certificates, and the kubeconfig with which kube-apiserver calls this gateway',
  options: [
    textOption(
      '--host <host...>',
      "names and IP addresses for the server's certificate; kube-apiserver calls the first. Required, except with --renew",
    ),
    textOption(
      '--redis <url>',
      'a Redis for tokens and what replicas share, such as rediss://redis.example.com:6379',
    ),
    textOption(
      '--redis-ca <file>',
      'the CA of its certificate, PEM; left out: one that this machine knows',
    ),
    textOption(
      '--login [host]',
      'a login server for people, by this name; left out: the first of --host. Needs --redis, unless the config has one. With --renew: another name for it',
    ),
    new Option(
      '--renew',
      'replace the certificates of the server, of the login server and of kube-apiserver by new ones from the same CA',
    ).conflicts(['redis', 'redisCa']),
  ],
  load: async () => (await import('./commands/init/init.ts')).init,
  exitStatus: '0 success, 1 nothing was written, 2 wrong usage',
  help: exampleText(
    'init /etc/sallyport --host gateway.example.com --redis rediss://redis.example.com:6379 --login login.example.com',
  ),
}).argument('<dir>', 'the folder for them; nothing in it is overwritten');

add(program, 'serve', {
  description: 'answer token reviews until SIGTERM; SIGHUP reads all files again',
  options: [
    option.config,
    addressOption(
      '--listen <address>',
      "listen here and not at the config's server.listen, such as 127.0.0.1:8080",
    ),
    new Option(
      '--demo',
      'run the demo config that comes with the gateway, with a new token, unless --config names another',
    ),
    addressOption('--admin-listen <address>', "listen here and not at the config's admin.listen"),
  ],
  load: async () => (await import('./commands/serve.ts')).serve,
});

add(program, 'check', {
  description: 'check the config, its files and certificates, and reach each backend',
  options: [option.config, option.output],
  load: async () => (await import('./commands/check/check.ts')).check,
  exitStatus: '0 there are no errors, 1 there is an error, 2 wrong usage',
});

add(program, 'explain', {
  description: 'show what each authenticator answers to a token, which is read from standard input',
  options: [
    textOption(
      '--user <name>',
      'no token: show all that is known of this user; the prefix is found if it can be',
    ),
    option.exact,
    option.config,
    option.output,
    new Option(
      '--audience <audience...>',
      "what the review asks for; left out: the API server's own",
    ).conflicts('user'),
  ],
  load: async () => (await import('./commands/explain/explain.ts')).explain,
  exitStatus:
    '0 authenticated (with --user: known), 1 could not be checked, 2 wrong usage, 3 refused or unknown',
  help: exampleText('explain', pipedToken),
});

add(program, 'schema', {
  description:
    'print the JSON Schema of gateway.yaml, with the options of each plugin that is shipped or that --config uses',
  options: [option.config],
  load: async () => (await import('./commands/check/check.ts')).schema,
});

const required = (one: Option) => one.makeOptionMandatory();
const groupOption = textOption('--group <name>', 'a group, as Kubernetes sees it, prefix included');
const sidOption = () => textOption('--sid <id>', 'all tokens of the session with this sid');
const tokenOption = new Option('--token', 'the token that is read from standard input');
const userOption = (more = '') =>
  textOption('--user <name>', `a user, as Kubernetes sees them, prefix included${more}`);
const confirmed =
  '0 done, and confirmed by all running replicas; 1 not done, or not confirmed by all; 2 wrong usage';
/** The options of commands that write an entry to the revocation list. */
const entryOptions = [
  option.exact,
  option.reason,
  option.by,
  option.wait,
  option.config,
  option.output,
];
const blockable = [userOption(), groupOption, tokenOption, jtiOption(), sidOption()];

add(program, 'block', {
  description: 'refuse a user, a group, a token or a session for a time, whatever a backend says',
  options: [...blockable, option.for, ...entryOptions],
  load: async () => (await import('./commands/blocks/block.ts')).block,
  exitStatus: confirmed,
  help: exampleText('block --user corp:jane --for 8h --reason "laptop stolen"'),
});

add(program, 'unblock', {
  description: 'end a block before its time',
  options: [
    ...blockable,
    digestOption('the token of this SHA-256 digest, as blocks shows it; 8 digits or more', 8),
    ...entryOptions,
  ],
  load: async () => (await import('./commands/blocks/block.ts')).unblock,
  exitStatus: confirmed,
});

add(program, 'blocks', {
  description: 'list who is blocked, the newest first',
  options: [option.config, option.output],
  load: async () => (await import('./commands/blocks/block.ts')).listBlocks,
  exitStatus: '0 success, 1 the list could not be read, 2 wrong usage',
});

add(program, 'revoke', {
  description:
    'revoke the issued tokens of a user, or one token, and have every replica forget what it cached of them',
  options: [
    userOption(),
    tokenOption,
    digestOption('the token of this SHA-256 digest, as token list shows it; 8 digits or more', 8),
    new Option(
      '--all',
      'have every replica forget all that it cached; no token is revoked',
    ).conflicts('authenticator'),
    textOption('--authenticator <name>', 'only tokens that this authenticator has issued'),
    // They are hidden: the command says that it can't revoke these, and what to run.
    jtiOption().hideHelp(),
    sidOption().hideHelp(),
    ...entryOptions,
  ],
  load: async () => (await import('./commands/tokens/revoke.ts')).revoke,
  exitStatus: `${confirmed}; 3 there was no token to revoke`,
  help: exampleText('revoke --user robot:ci --reason leaked'),
});

add(program, 'lockouts', {
  description:
    'list the users whose refused passwords the running gateways count, and who is locked out',
  options: [option.config, option.output],
  load: async () => (await import('./commands/blocks/lockouts.ts')).lockouts,
  exitStatus: '0 success, 1 the counts could not be read, 2 wrong usage',
});

add(program, 'unlock', {
  description: "forget a user's refused passwords, in all running gateways",
  options: [required(userOption('; required')), ...entryOptions],
  load: async () => (await import('./commands/blocks/lockouts.ts')).unlock,
  exitStatus: `${confirmed}; 3 nothing was locked`,
  help: exampleText('unlock --user corp:bob --reason "new password"'),
});

add(program.command('audit').description('work with the audit trail'), 'fingerprint', {
  description:
    'print the fingerprint that the audit trail has for a token; the token is read from standard input',
  options: [option.config],
  load: async () => (await import('./commands/tokens/token-hash.ts')).auditFingerprint,
  help:
    '\nPrints one line for each key of cache.redis.sealingKeys, the one in use first.' +
    exampleText('audit fingerprint | grep -F -f - audit.log', pipedToken),
});

const token = program.command('token').description('work with tokens');
const uid = textOption(
  '--uid <uid>',
  'stays with the user when the username is given to another person',
);
const audience = textOption(
  '--audience <audience...>',
  'an audience that the token is bound to; may be repeated',
);
const issuer = textOption(
  '--authenticator <name>',
  'whose tokens, when several authenticators of the config issue some',
);
const issuerStatus = '0 success, 1 it could not be done, or not all of it, 2 wrong usage';

add(token, 'create', {
  description: 'make a token and print it, once: it is stored nowhere',
  options: [
    option.config,
    issuer,
    required(
      textOption(
        '--user <name>',
        "the user of the token, without the authenticator's username prefix",
      ),
    ),
    required(
      ttlOption(
        'how long it is valid, such as 8h or 30d, or never for a token without an end; required',
      ),
    ),
    uid,
    textOption(
      '--group <group...>',
      "a group of the user, without the authenticator's group prefix; may be repeated",
    ),
    new Option(
      '--extra <key=value...>',
      'more about the user for Kubernetes; may be repeated, one key too',
    ),
    audience,
    new Option(
      '--not-before <time>',
      'when it becomes valid, such as 2030-01-31T12:00:00Z; left out: now',
    ),
    option.reason,
    option.by,
    option.output,
  ],
  load: async () => (await import('./commands/tokens/issued-tokens.ts')).createToken,
  exitStatus: issuerStatus,
  help:
    exampleText('token create --user jane --group dev --ttl 8h') +
    '\nThe token alone is on standard output, all else on standard error; with -o json, all is on standard output.',
});

add(token, 'list', {
  description: 'list issued tokens, the newest first; never the tokens themselves',
  options: [
    option.config,
    issuer,
    textOption('--user <name>', 'of this user only, with the username prefix or without'),
    option.exact,
    digestOption('of this SHA-256 digest only, or of those that begin with it', 1),
    option.output,
  ],
  load: async () => (await import('./commands/tokens/issued-tokens.ts')).listTokens,
  exitStatus: `${issuerStatus}, 3 there is none of that user or digest`,
});

add(token, 'hash', {
  description:
    'make an entry of a static tokens file from a token, which is read from standard input',
  options: [
    required(textOption('--user <name>', 'the user of the token; required')),
    uid,
    textOption('--group <group...>', 'a group of the user; may be repeated'),
    audience,
    ttlOption('how long it is valid, such as 8h or 30d; left out, or never: without an end'),
    new Option('--generate', 'make a random token and print it, once, instead of reading one'),
    option.output,
  ],
  load: async () => (await import('./commands/tokens/token-hash.ts')).tokenHash,
});

/** Prints what is wrong, and returns the exit status for it. */
function explainError(error: unknown): ExitCode {
  // Commander has printed it already; help and version are not errors.
  if (error instanceof CommanderError)
    return error.exitCode === 0 ? exitCodes.success : exitCodes.usage;
  const several = error instanceof ConfigError && error.problems.length > 1;
  const heading = several ? `${error.problems.length} errors in the config:\n` : '';
  process.stderr.write(`sallyport: ${heading}${causeOf(error)}\n`);
  return error instanceof UsageError ? exitCodes.usage : exitCodes.failure;
}

// A template may set an empty variable where none is meant.
if (process.env.SALLYPORT_CONFIG === '') Reflect.deleteProperty(process.env, 'SALLYPORT_CONFIG');
// The error is reported below. A reader that has gone must not interrupt what was begun.
process.stdout.on('error', () => undefined);
try {
  await program.parseAsync();
} catch (error) {
  exitCode = explainError(error);
}
// The process does not wait for the event loop to empty, since a plugin may have left a timer or a connection behind.
process.stdout.write('', () => {
  const lost: NodeJS.ErrnoException | null = process.stdout.errored;
  // EPIPE is a reader such as `head`, which has read enough.
  if (lost !== null && lost.code !== 'EPIPE') {
    exitCode = explainError(new Error(`standard output can't be written: ${causeOf(lost)}`));
  }
  process.stderr.write('', () => process.exit(exitCode));
});
