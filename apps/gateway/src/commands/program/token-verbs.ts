import { Option } from 'commander';
import {
  audienceOption,
  byOption,
  digestOption,
  option,
  repeatableOption,
  textOption,
  ttlOption,
} from '../options.ts';
import { required } from './entry-options.ts';
import type { Program } from './program.ts';

const uid = textOption(
  '--uid <uid>',
  'Kubernetes UID: a stable ID, in case the username is reused',
);
const audience = audienceOption('audience that the token is for');
const issuer = textOption(
  '--authenticator <name>',
  'authenticator that issues the tokens (required if the config has several)',
);
const issuerStatus = { 0: 'success', 1: 'not done, or only in part' };

/** Adds the command about the audit trail. */
export function addAuditVerb({ add, addFamily }: Program): void {
  add(addFamily('audit', 'work with the audit trail'), 'fingerprint', {
    description:
      'print the fingerprint of a token in the audit trail; the token is typed at a prompt or read from standard input',
    options: [option.config],
    load: async () => (await import('../tokens/token-hash.ts')).auditFingerprint,
    tokenCall: 'audit fingerprint',
    note: 'The output has one line for each key of cache.redis.sealingKeys. The first is for the key in use.',
    examples: {
      'Find the lines of a token, which you type at a prompt':
        'audit fingerprint | grep -F -f - audit.log',
    },
  });
}

/** Adds the commands about tokens that this config issues, and about static ones. */
export function addTokenVerbs({ context, add, addFamily }: Program): void {
  const token = addFamily('token', 'create, list and hash tokens');
  add(token, 'create', {
    description: 'create a token, store its digest, and print the token once',
    options: [
      option.config,
      issuer,
      required(
        textOption('--user <name>', 'user of the token, without the username prefix (required)'),
      ),
      required(ttlOption('lifetime, such as 8h or 30d, or `never` (required)', context.now)),
      uid,
      repeatableOption('--group <group>', 'group of the user, without the group prefix'),
      repeatableOption(
        '--extra <key=value>',
        'extra user attribute (`user.extra`); a key can have several values',
      ),
      audience,
      new Option(
        '--not-before <time>',
        'not valid before this time, such as 2030-01-31T12:00:00Z (default: now)',
      ),
      option.reason,
      byOption(context.environment),
      option.output,
    ],
    load: async () => (await import('../tokens/issued-tokens.ts')).createToken,
    exitStatus: issuerStatus,
    note: 'The token is written to standard output, everything else to standard error. With -o json, all of it is on standard output.',
    examples: { 'Create a token for 8h': 'token create --user jane --group dev --ttl 8h' },
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
    load: async () => (await import('../tokens/issued-tokens.ts')).listTokens,
    exitStatus: { ...issuerStatus, 3: 'no token of this user or digest' },
    examples: { 'List the tokens of a user': 'token list --user jane' },
  });

  add(token, 'hash', {
    description:
      'make an entry for a static tokens file from a token, which is typed at a prompt or read from standard input',
    options: [
      required(textOption('--user <name>', 'user of the token (required)')),
      uid,
      repeatableOption('--group <group>', 'group of the user'),
      audience,
      ttlOption('lifetime, such as 8h or 30d (default: never expires)', context.now),
      new Option('--generate', 'generate a random token and print it once, instead of reading one'),
      option.output,
    ],
    load: async () => (await import('../tokens/token-hash.ts')).tokenHash,
    tokenCall: 'token hash --user ci',
    examples: {
      'Generate a token and add its entry to a file':
        'token hash --user ci --generate >> tokens.yaml',
    },
  });
}
