import { randomBytes, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { parse } from 'yaml';
import { printable } from '../../base/logging/printable.ts';
import { FixableError, isObject, valueAt } from '../../config/problems.ts';
import { mebibyte, readText } from '../../config/read-text.ts';
import { placeholder } from '../../config/secrets.ts';
import type { CommandContext } from '../context.ts';
import { commandLine } from '../printed-commands.ts';
import type { KeyPair } from './certificates.ts';
import { exists } from './files.ts';
import { dateOf, loginNames, names, redisNames } from './layout.ts';
import { aclLine } from './redis.ts';
import {
  authenticatorSections,
  fileSections,
  loginUrl,
  type Parts,
  type Section,
} from './sections.ts';

/** Makes the files that the parts need and a folder does not have yet, by their names. A file that exists stays as it is. */
export async function partFiles(
  folder: string,
  { redis, login }: Parts,
  issueLogin: (host: string) => Promise<KeyPair>,
): Promise<Readonly<Record<string, string>>> {
  const needed: Record<string, string> = {};
  if (redis !== undefined) {
    needed[redisNames.password] = `${randomBytes(32).toString('base64url')}\n`;
    needed[redisNames.sealingKey] = `${randomBytes(32).toString('base64')}\n`;
    if (redis.authority !== undefined) needed[redisNames.authority] = redis.authority;
  }
  if (login !== undefined) {
    if (redis !== undefined) needed[loginNames.directoryPassword] = `${placeholder}\n`;
    if (login.certificate === 'issue') {
      const pair = await issueLogin(login.host);
      needed[loginNames.certificate] = pair.certificate;
      needed[loginNames.key] = pair.key;
    }
  }
  const all = Object.entries(needed);
  const found = await Promise.all(all.map(([name]) => exists(join(folder, name))));
  return Object.fromEntries(all.filter((_one, index) => !found[index]));
}

/** Returns the sections of the parts that the gateway.yaml of a folder does not have yet. */
export async function missingSections(
  context: CommandContext,
  folder: string,
  parts: Parts,
  hosts: readonly string[],
) {
  const { authenticators, cache, ...others } = await readSections(context, folder);
  const entries = Array.isArray(authenticators)
    ? authenticators.map((one) => valueAt(one, ['name']))
    : [];
  // A `cache` without `redis` is a section that `cache.redis` belongs to.
  const sections = { ...others, ...(isObject(cache) && 'redis' in cache && { cache }) };
  return {
    authenticators: authenticatorSections(parts).filter(({ name }) => !entries.includes(name)),
    sections: fileSections(parts, hosts).filter(({ name }) => !(name in sections)),
  };
}

/** Whether the gateway.yaml of a folder has a login server. */
export async function hasLogin(context: CommandContext, folder: string): Promise<boolean> {
  return (
    (await exists(join(folder, names.config))) && 'login' in (await readSections(context, folder))
  );
}

async function readSections(
  context: CommandContext,
  folder: string,
): Promise<Readonly<Record<string, unknown>>> {
  const file = join(folder, names.config);
  const written = parseConfig(context, file, await readText(file, mebibyte));
  return isObject(written) ? written : {};
}

/** Parses gateway.yaml. @throws FixableError that quotes nothing of the file */
function parseConfig(context: CommandContext, file: string, text: string): unknown {
  try {
    return parse(text);
  } catch {
    throw new FixableError(
      `nothing was written: ${printable(file)} is not valid YAML`,
      `run ${commandLine(context, ['check'], file)}`,
    );
  }
}

export function textOf(sections: readonly Section[]): string {
  return sections.map(({ text }) => text).join('');
}

/**
 * Returns the parts for which something is left to do after a further run.
 *
 * @param files those that the run made
 * @param shown the sections that the run shows, and that the user adds
 */
export function partsToDo(
  { redis, login }: Parts,
  files: object,
  shown: readonly Section[],
): Parts {
  const isShown = (names: readonly string[]) => shown.some(({ name }) => names.includes(name));
  return {
    ...(redis &&
      (redisNames.password in files || isShown(['robots', 'sessions', 'cache'])) && { redis }),
    ...(login &&
      (loginNames.directoryPassword in files || isShown(['corp', 'login'])) && { login }),
  };
}

/** Describes what is left to do for the parts. It has only the digest of the password. */
export async function partSteps(
  context: CommandContext,
  folder: string,
  { redis, login }: Parts,
): Promise<string> {
  const path = (name: string) => printable(join(folder, name));
  const redisStep =
    redis &&
    (await redisStepOf(context, folder, login === undefined ? 'tokens' : 'tokens and sessions'));
  if (login === undefined) return redisStep ?? '';
  const { host, certificate } = login;
  const trust =
    certificate === 'foreign' ? '' : ` --ca-file ${names.authority.replace('tls/', '')}`;
  return `${redisStep ?? ''}In ${path(names.config)}, replace each example.com, and dc=example,dc=com, with your directory's and
your clusters' own. Put the password of the directory's service account into ${path(loginNames.directoryPassword)}.
Then people run: kubectl sallyport init ${loginUrl(host)} prod${trust}

`;
}

async function redisStepOf(
  context: CommandContext,
  folder: string,
  contents: string,
): Promise<string> {
  const password = await readText(join(folder, redisNames.password), mebibyte);
  const path = (name: string) => printable(join(folder, name));
  return `Add this line to the ACL file of Redis, and run ACL LOAD; or to redis.conf, and restart Redis. It contains the SHA-256 of the password in ${path(redisNames.password)}:

  ${aclLine(password.replace(/\r?\n$/, ''))}

This Redis holds ${contents}: it must keep its data over a restart (appendonly yes), and must not evict
(maxmemory-policy noeviction). Every replica needs the same files in ${path('secrets')}.

If this Redis is new, gateways are not ready until you run this once, when they have started:

  ${commandLine(context, ['revoke', '--all'], join(folder, names.config))}

`;
}

/** Describes the files of the parts. */
export function partLines(
  { redis, login }: Parts,
  files: Readonly<Record<string, string>>,
): string {
  const certificate = files[loginNames.certificate];
  const until =
    certificate === undefined
      ? ''
      : dateOf({ notAfter: new X509Certificate(certificate).validToDate });
  const loginLine =
    until === ''
      ? ''
      : `  ${loginNames.certificate}     the login server's, until ${until}, for ${login?.host}\n`;
  const redisCa =
    files[redisNames.authority] === undefined
      ? ''
      : `  ${redisNames.authority}  the CA of Redis, from --redis-ca\n`;
  const toFill = login === undefined ? '' : '; ldap-password, for you to fill';
  const secrets =
    redis === undefined
      ? ''
      : `  secrets/          the password of the Redis user, the sealing key${toFill}\n`;
  return loginLine + redisCa + secrets;
}
