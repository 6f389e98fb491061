import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { printable } from '../../base/logging/printable.ts';
import { shellQuoted } from '../../base/shell-quoted.ts';
import { placeholder } from '../../config/secrets.ts';
import type { CommandContext } from '../context.ts';
import { commandLine } from '../printed-commands.ts';
import type { KeyPair } from './certificates.ts';
import { formatEnd, loginNames, names, redisNames } from './layout.ts';
import { aclLine, aclLineCommand, describeSetUser } from './redis.ts';
import {
  apiAudiencesLine,
  authenticatorSections,
  fileSections,
  loginUrl,
  type Parts,
} from './sections.ts';

/** What `init` makes for the parts of a new folder. */
export interface NewParts {
  /** Contents by the names of the files. */
  readonly files: Readonly<Record<string, string>>;
  /** Describes the files. */
  readonly lines: string;
  /** Describes what is left to do. It has only the digest of the password. */
  readonly steps: string;
}

/** Makes the files that the parts need. */
export async function makeParts(
  context: CommandContext,
  folder: string,
  { redis, login }: Parts,
  issueLogin: (host: string) => Promise<KeyPair>,
): Promise<NewParts> {
  if (redis === undefined) return { files: {}, lines: '', steps: '' };
  const password = randomBytes(32).toString('base64url');
  const pair = login === undefined ? undefined : await issueLogin(login);
  const files = {
    [redisNames.password]: `${password}\n`,
    [redisNames.sealingKey]: `${randomBytes(32).toString('base64')}\n`,
    ...(redis.authority && { [redisNames.authority]: redis.authority.text }),
    ...(pair && {
      [loginNames.directoryPassword]: `${placeholder}\n`,
      [loginNames.certificate]: pair.certificate,
      [loginNames.key]: pair.key,
    }),
  };
  const loginLine =
    pair &&
    `  ${loginNames.certificate}     the login server's, until ${formatEnd(pair)}, for ${login}\n`;
  const authorityLine =
    redis.authority && `  ${redisNames.authority}  the CA of Redis, from --redis-ca\n`;
  const toFill = pair ? '; ldap-password, for you to fill' : '';
  const secretsLine = `  secrets/          the password of the Redis user, the sealing key${toFill}\n`;
  const aclStep = `Add this line to the ACL file of Redis, and run ACL LOAD; or to redis.conf, and restart Redis. It contains the SHA-256 of the password in ${printable(join(folder, redisNames.password))}:

  ${aclLine(password)}

${describeSetUser(redis, shellQuoted(join(folder, redisNames.password)))}`;
  return {
    files,
    lines: `${loginLine ?? ''}${authorityLine ?? ''}${secretsLine}`,
    steps: aclStep + describeSteps(context, folder, login),
  };
}

/** Describes how to add the parts to a folder that has a gateway.yaml. `init` writes nothing there, since that folder belongs to the user. */
export function describeParts(
  context: CommandContext,
  folder: string,
  hosts: readonly string[],
  chosenParts: Parts & { readonly redis: object },
): string {
  const { redis, login } = chosenParts;
  const path = (name: string) => shellQuoted(join(folder, name));
  const config = join(folder, names.config);
  // With -C, the shell overwrites no file.
  const create = (command: string, name: string) =>
    `(umask 077; set -C; ${command} > ${path(name)})`;
  const commands = [
    `mkdir -p ${path('secrets')}`,
    create('openssl rand -base64 32', redisNames.password),
    create('openssl rand -base64 32', redisNames.sealingKey),
    ...(redis.authority
      ? [`(set -C; cat ${shellQuoted(redis.authority.file)} > ${path(redisNames.authority)})`]
      : []),
    ...(login === undefined
      ? []
      : [
          create(`echo ${shellQuoted(placeholder)}`, loginNames.directoryPassword),
          commandLine(context, ['init', folder, '--renew', '--login', login]),
        ]),
  ];
  return `Nothing was written: ${printable(config)} exists. This is what to add to it, except for what it already has.

Add to server in ${printable(config)}:

${apiAudiencesLine(chosenParts.audience)}
Add to the end of authenticators in ${printable(config)}:

${authenticatorSections(chosenParts)}
Add to the end of ${printable(config)}:

${fileSections(chosenParts, hosts)}
Then run these commands, which make the files that the sections name:

${commands.map((command) => `  ${printable(command)}`).join('\n')}

Add the line that this command prints to the ACL file of Redis, and run ACL LOAD; or to redis.conf, and restart Redis:

  ${printable(aclLineCommand(path(redisNames.password)))}

${describeSetUser(redis, path(redisNames.password))}${describeSteps(context, folder, login)}${login === undefined ? '' : `${describeAudience(printable(config), chosenParts.audience)}\n`}Then run:

  ${commandLine({ ...context, config }, ['check'])}
`;
}

/** Describes which cluster accepts the sessions. @param config the path of the config, printable */
export function describeAudience(config: string, audience: string): string {
  return `Sessions are for the audience ${audience}. An API server has it without a further flag if
it is the "issuer" that this prints: kubectl get --raw /.well-known/openid-configuration
If yours prints another one, write that into server.apiAudiences and login.clusters in ${config}.
With several clusters in login.clusters, give each an audience of its own, and add to its flags --api-audiences=ISSUER,AUDIENCE
with both: without its issuer, an API server refuses the tokens of its own service accounts.
`;
}

/** Describes what is left to do once Redis knows its user. */
function describeSteps(context: CommandContext, folder: string, login: string | undefined): string {
  const config = join(folder, names.config);
  const path = (name: string) => printable(join(folder, name));
  const contents = login === undefined ? 'tokens' : 'tokens and sessions';
  const redisStep = `

This Redis holds ${contents}: it must keep its data over a restart (appendonly yes), and must not evict
(maxmemory-policy noeviction). Every replica needs the same files in ${path('secrets')}.

If this Redis is new, gateways are not ready until you run this once, when they have started:

  ${commandLine({ ...context, config }, ['revoke', '--all'])}

`;
  if (login === undefined) return redisStep;
  return `${redisStep}In ${printable(config)}, replace each example.com, and dc=example,dc=com, with your directory's and
your clusters' own. Put the password of the directory's service account into ${path(loginNames.directoryPassword)}.
Then people run: kubectl sallyport init ${loginUrl(login)} prod --ca-file ${names.authority.replace('tls/', '')}

`;
}
