import './refuse-inspector.ts';
import { Command, CommanderError, Option } from 'commander';
import { manifest } from './base/package-files.ts';
import {
  addressOption,
  defaultConfigFile,
  digestOption,
  jtiOption,
  option,
  textOption,
  ttlOption,
} from './commands/options.ts';
import { type ExitCode, exitCodes, UsageError } from './commands/output.ts';
import { exampleText } from './commands/printed-commands.ts';
import { ConfigError, causeOf, onTwoLines, wordsOf } from './config/problems.ts';

const program = new Command('sallyport')
  .description('Authenticate bearer tokens for Kubernetes, and manage blocks, sessions and tokens')
  .version(manifest.version)
  .addHelpText(
    'after',
    `
Config:
  A command uses the file of --config, else SALLYPORT_CONFIG, else ${defaultConfigFile}.
` +
      exitText({
        0: 'success',
        1: 'there is a problem with the config, a file or a backend',
        3: 'explain: refused or unknown; revoke, unlock, token list, factor: nothing to revoke, unlock, list or reset',
      }) +
      exampleText(
        ['Make a config and certificates', 'init /etc/sallyport --host gateway.example.com'],
        ['Check the config', 'check'],
        ['Start the gateway', 'serve'],
      ),
  )
  .configureOutput({ outputError: (text, write) => write(withExample(text)) })
  .exitOverride();
let exitCode: ExitCode = exitCodes.success;

/** Writes an error of commander's own, and what to add if it is about a duration that is missing. */
function withExample(error: string): string {
  const [, name] =
    /^error: required option '(--\w+) <duration>' not specified\n$/.exec(error) ?? [];
  const fix = name && `add it, such as ${name} 8h`;
  return `${onTwoLines({ message: error.trimEnd(), fix })}\n`;
}

/** Makes the part of the help on the exit status. The key is a status. 2 is wrong usage in every command. */
function exitText(meanings: Readonly<Record<number, string>>): string {
  const all = Object.entries({ ...meanings, 2: 'wrong usage' });
  return `\nExit status:\n${all.map(([code, meaning]) => `  ${code}  ${meaning}\n`).join('')}`;
}

interface Verb<Options> {
  readonly description: string;
  readonly options: readonly Option[];
  /** Loads the code of the verb when it is called, so that each command starts as fast as it can. */
  readonly load: () => Promise<(options: Options) => Promise<ExitCode>>;
  readonly exitStatus?: Readonly<Record<number, string>>;
  readonly help?: string;
}

function add<Options>(parent: Command, name: string, verb: Verb<Options>): Command {
  const { description, options, load, exitStatus, help = '' } = verb;
  const command = parent.command(name).description(description);
  for (const one of options) command.addOption(one);
  return command
    .addHelpText('after', `${exitStatus ? exitText(exitStatus) : ''}${help}`.trimEnd())
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
  description: 'create a config, certificates, and the kubeconfig that kube-apiserver needs',
  options: [
    textOption(
      '--host <host...>',
      'names and IP addresses for the server certificate; kube-apiserver uses the first one (required without --renew)',
    ),
    textOption(
      '--redis <url>',
      'Redis for tokens, sessions, blocks and shared caches, such as rediss://redis.example.com:6379',
    ),
    textOption(
      '--redis-ca <file>',
      "PEM file with the CA of the Redis certificate (default: this machine's CAs)",
    ),
    textOption(
      '--login [host]',
      'add a login server with this name (default: the first --host); needs --redis, unless the config already has Redis. With --renew: change its name',
    ),
    new Option(
      '--renew',
      'replace the certificates of the server, the login server and kube-apiserver with new ones from the same CA',
    ).conflicts(['redis', 'redisCa']),
  ],
  load: async () => (await import('./commands/init/init.ts')).init,
  exitStatus: { 0: 'success', 1: 'nothing was written' },
  help: exampleText(
    ['Create a config with static tokens', 'init /etc/sallyport --host gateway.example.com'],
    [
      'Create a config with Redis and a login server',
      'init /etc/sallyport --host gateway.example.com --redis rediss://redis.example.com:6379 --login login.example.com',
    ],
    ['Renew the certificates', 'init /etc/sallyport --renew'],
  ),
}).argument('<dir>', 'folder to create the files in; existing files are kept');

add(program, 'serve', {
  description: 'run the gateway until SIGTERM; SIGHUP reloads its files',
  options: [
    option.config,
    addressOption('--listen <address>', 'override server.listen, such as 127.0.0.1:8080'),
    addressOption('--admin-listen <address>', 'override admin.listen'),
    new Option('--demo', 'run the demo with a new token, if no config is named'),
  ],
  load: async () => (await import('./commands/serve.ts')).serve,
});

add(program, 'check', {
  description: 'check the config, its files and its certificates, and connect to each backend',
  options: [option.config, option.output],
  load: async () => (await import('./commands/check/check.ts')).check,
  exitStatus: { 0: 'no errors; there can be warnings', 1: 'at least one error' },
});

add(program, 'explain', {
  description:
    'explain what each authenticator answers for a token, which is typed at a prompt or read from standard input',
  options: [
    textOption('--user <name>', 'look up a user by Kubernetes name instead of a token'),
    option.exact,
    option.config,
    option.output,
    new Option(
      '--audience <audience...>',
      "audience of the review; repeatable (default: the API server's audiences)",
    ).conflicts('user'),
  ],
  load: async () => (await import('./commands/explain/explain.ts')).explain,
  exitStatus: {
    0: 'authenticated; with --user: known',
    1: 'error: a backend is unavailable',
    3: 'refused or unknown',
  },
  help: exampleText(
    ['Explain a token, which you type at a prompt', 'explain', 'token'],
    ['Show what is known about a user', 'explain --user corp:jane'],
  ),
});

add(program, 'schema', {
  description:
    'print the JSON Schema of gateway.yaml, with the options of the bundled plugins and of those in --config',
  options: [option.config],
  load: async () => (await import('./commands/check/check.ts')).schema,
});

const required = (one: Option) => one.makeOptionMandatory();
const groupOption = textOption(
  '--group <name>',
  'name of the group in Kubernetes, with its prefix',
);
const sidOption = () => textOption('--sid <id>', 'sid of the session: all its tokens');
const tokenOption = new Option(
  '--token',
  'one token, which is typed at a prompt or read from standard input',
);
const userOption = (more = '') =>
  textOption('--user <name>', `name of the user in Kubernetes, with its prefix${more}`);
const confirmed = {
  0: 'done, and confirmed by all replicas',
  1: 'not done, or not confirmed by all replicas, or by none',
};
/** The options of commands that write an entry to the revocation list. */
const entryOptions = [
  option.exact,
  option.reason,
  option.by,
  option.wait,
  option.expect,
  option.config,
  option.output,
];
const blockable = [userOption(), groupOption, tokenOption, jtiOption(), sidOption()];

add(program, 'block', {
  description: 'refuse a user, group, token or session for a time, on every replica',
  options: [...blockable, option.for, ...entryOptions],
  load: async () => (await import('./commands/blocks/block.ts')).block,
  exitStatus: confirmed,
  help: exampleText(
    ['Block a user for 8 hours', 'block --user corp:jane --for 8h --reason "laptop stolen"'],
    ['Block a token, which you type at a prompt', 'block --token --for 30d', 'token'],
  ),
});

add(program, 'unblock', {
  description: 'remove a block before it expires',
  options: [
    ...blockable,
    digestOption('at least 8 digits of the SHA-256 digest of the token, as shown by blocks', 8),
    ...entryOptions,
  ],
  load: async () => (await import('./commands/blocks/block.ts')).unblock,
  exitStatus: confirmed,
  help: exampleText(['Remove the block of a user', 'unblock --user corp:jane']),
});

add(program, 'blocks', {
  description: 'list blocks, newest first',
  options: [option.config, option.output],
  load: async () => (await import('./commands/blocks/block.ts')).listBlocks,
  exitStatus: { 0: 'success', 1: 'the list could not be read' },
});

add(program, 'revoke', {
  description: 'revoke issued tokens and clear their cached answers on every replica',
  options: [
    userOption('; revokes all tokens of the user'),
    tokenOption,
    digestOption('at least 8 digits of the SHA-256 digest of the token, as shown by token list', 8),
    new Option('--all', 'clear all cached answers on every replica; no token is revoked').conflicts(
      'authenticator',
    ),
    textOption('--authenticator <name>', 'revoke only tokens that this authenticator issued'),
    // They are hidden: the command says that it can't revoke these, and what to run.
    jtiOption().hideHelp(),
    sidOption().hideHelp(),
    ...entryOptions,
  ],
  load: async () => (await import('./commands/tokens/revoke.ts')).revoke,
  exitStatus: { ...confirmed, 3: 'no token to revoke' },
  help: exampleText(
    ['Revoke all tokens of a user', 'revoke --user robot:ci --reason leaked'],
    ['End all sessions of a user', 'revoke --user corp:jane --authenticator sessions'],
  ),
});

add(program, 'lockouts', {
  description: 'list users with failed logins, and which of them are locked out',
  options: [option.config, option.output],
  load: async () => (await import('./commands/blocks/lockouts.ts')).lockouts,
  exitStatus: { 0: 'success', 1: 'the list could not be read' },
});

add(program, 'unlock', {
  description: 'reset the failed-login count of a user on every replica',
  options: [required(userOption(' (required)')), ...entryOptions],
  load: async () => (await import('./commands/blocks/lockouts.ts')).unlock,
  exitStatus: { ...confirmed, 3: 'no failed logins were counted for this user' },
  help: exampleText(['Unlock a user', 'unlock --user corp:bob --reason "new password"']),
});

const factor = program
  .command('factor')
  .description('invite users to add a second factor, list second factors, and reset them');

add(factor, 'invite', {
  description: 'make a code with which a user can add a second factor, and print it once',
  options: [
    required(userOption(' (required)')),
    option.exact,
    option.invitationFor,
    option.reason,
    option.by,
    option.config,
    option.output,
  ],
  load: async () => (await import('./commands/factors/invite.ts')).invite,
  exitStatus: { 0: 'invited', 1: 'nothing was written' },
  help: exampleText([
    'Invite a user for 24 hours',
    'factor invite --user corp:jane --reason "first phone"',
  ]),
});

add(factor, 'list', {
  description: 'list second factors and open invitations, without anything that is secret',
  options: [
    textOption('--user <name>', 'list only second factors and invitations of this user'),
    option.exact,
    option.config,
    option.output,
  ],
  load: async () => (await import('./commands/factors/list.ts')).listFactors,
  exitStatus: {
    0: 'success',
    1: 'they could not be read',
    3: 'no second factor and no invitation of this user',
  },
});

add(factor, 'reset', {
  description: 'remove all second factors of a user, and end all sessions of the user',
  options: [required(userOption(' (required)')), ...entryOptions],
  load: async () => (await import('./commands/factors/reset.ts')).resetFactors,
  exitStatus: { ...confirmed, 3: 'the user had no second factor, no invitation and no session' },
  help: exampleText([
    'Reset the second factors of a user',
    'factor reset --user corp:jane --reason "phone lost"',
  ]),
});

add(factor, 'reseal', {
  description: 'seal all second factors with the first of cache.redis.sealingKeys',
  options: [option.config, option.output],
  load: async () => (await import('./commands/factors/reseal.ts')).resealFactors,
  exitStatus: { 0: 'no other sealing key is needed for them', 1: 'not all could be sealed' },
});

add(program.command('audit').description('work with the audit trail'), 'fingerprint', {
  description:
    'print the fingerprint of a token in the audit trail; the token is typed at a prompt or read from standard input',
  options: [option.config],
  load: async () => (await import('./commands/tokens/token-hash.ts')).auditFingerprint,
  help:
    '\nThe output has one line for each key of cache.redis.sealingKeys. The first is for the key in use.\n' +
    exampleText([
      'Find the lines of a token, which you type at a prompt',
      'audit fingerprint | grep -F -f - audit.log',
      'token',
    ]),
});

const token = program.command('token').description('create, list and hash tokens');
const uid = textOption(
  '--uid <uid>',
  'Kubernetes UID: a stable ID, in case the username is reused',
);
const audience = textOption(
  '--audience <audience...>',
  'audience that the token is for; repeatable',
);
const issuer = textOption(
  '--authenticator <name>',
  'authenticator that issues the tokens (required if the config has several)',
);
const issuerStatus = { 0: 'success', 1: 'not done, or only in part' };

add(token, 'create', {
  description: 'create a token, store its digest, and print the token once',
  options: [
    option.config,
    issuer,
    required(
      textOption('--user <name>', 'user of the token, without the username prefix (required)'),
    ),
    required(ttlOption('lifetime, such as 8h or 30d, or `never` (required)')),
    uid,
    textOption('--group <group...>', 'group of the user, without the group prefix; repeatable'),
    new Option(
      '--extra <key=value...>',
      'extra user attributes (`user.extra`); repeatable, also with the same key',
    ),
    audience,
    new Option(
      '--not-before <time>',
      'not valid before this time, such as 2030-01-31T12:00:00Z (default: now)',
    ),
    option.reason,
    option.by,
    option.output,
  ],
  load: async () => (await import('./commands/tokens/issued-tokens.ts')).createToken,
  exitStatus: issuerStatus,
  help:
    '\nThe token is written to standard output, everything else to standard error. With -o json, all of it is on standard output.\n' +
    exampleText(['Create a token for 8 hours', 'token create --user jane --group dev --ttl 8h']),
});

add(token, 'list', {
  description: 'list issued tokens, newest first, without the tokens themselves',
  options: [
    option.config,
    issuer,
    textOption(
      '--user <name>',
      'list only tokens of this user, with or without the username prefix',
    ),
    option.exact,
    digestOption('list only tokens whose SHA-256 digest begins with these digits', 1),
    option.output,
  ],
  load: async () => (await import('./commands/tokens/issued-tokens.ts')).listTokens,
  exitStatus: { ...issuerStatus, 3: 'no token of this user or digest' },
  help: exampleText(['List the tokens of a user', 'token list --user jane']),
});

add(token, 'hash', {
  description:
    'make an entry for a static tokens file from a token, which is typed at a prompt or read from standard input',
  options: [
    required(textOption('--user <name>', 'user of the token (required)')),
    uid,
    textOption('--group <group...>', 'group of the user; repeatable'),
    audience,
    ttlOption('lifetime, such as 8h or 30d (default: never expires)'),
    new Option('--generate', 'generate a random token and print it once, instead of reading one'),
    option.output,
  ],
  load: async () => (await import('./commands/tokens/token-hash.ts')).tokenHash,
  help: exampleText([
    'Generate a token and add its entry to a file',
    'token hash --user ci --generate >> tokens.yaml',
  ]),
});

/** Prints what is wrong, and returns the exit status for it. */
function explainError(error: unknown): ExitCode {
  // Commander has printed it already; help and version are not errors.
  if (error instanceof CommanderError)
    return error.exitCode === 0 ? exitCodes.success : exitCodes.usage;
  const several = error instanceof ConfigError && error.problems.length > 1;
  const heading = several ? `${error.problems.length} errors in the config:\n` : '';
  const text = error instanceof ConfigError ? error.message : onTwoLines(wordsOf(error));
  process.stderr.write(`sallyport: ${heading}${text}\n`);
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
