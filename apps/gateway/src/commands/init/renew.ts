import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { parse } from 'yaml';
import { printable } from '../../base/logging/printable.ts';
import { FixableError } from '../../config/problems.ts';
import { mebibyte, readText } from '../../config/read-text.ts';
import type { CommandContext } from '../context.ts';
import { printRemark } from '../output.ts';
import { checkPermissions } from '../permissions.ts';
import { commandLine } from '../printed-commands.ts';
import { isIssuedByAny, openAuthority } from './authority.ts';
import { type Authority, issueClient, issueServer, type KeyPair } from './certificates.ts';
import { replaceFiles } from './files.ts';
import { hostsOf } from './hosts.ts';
import { clientName, dateOf, filesIn, loginNames, names } from './layout.ts';

const what = 'nothing was renewed';
const fix =
  'put the file of the CA that init made back, or make a new CA in another folder: init DIR --host …';

/**
 * Replaces the certificates of the server, of the login server and of kube-apiserver, and their keys, by new ones from the same
 * CA. Until all of them are on disk, and when one can't be written, the old ones stay.
 *
 * @param given the names of the new server certificate; empty: the names of the old one
 * @param loginHost the name of the new login certificate; left out: the names of the old one
 */
export async function renewCertificates(
  context: CommandContext,
  folder: string,
  given: readonly string[],
  loginHost?: string,
): Promise<string> {
  const now = context.now();
  const authority = await openAuthority(folder, what, fix, now);
  const before = await hostsBefore(folder, authority);
  if (given.length > 0) await requireCalledHost(folder, given);
  const hosts = given.length > 0 ? given : before;
  if (hosts === undefined) {
    throw new FixableError(
      `${what}: ${join(folder, names.server)} does not exist, so the names for a new one are not known`,
      'add --host NAME_OR_IP',
    );
  }
  const server = await issueServer(authority, hosts, now);
  const client = await issueClient(authority, clientName, now);
  const login = await renewLogin(context, folder, authority, now, loginHost);
  // A key goes first: whoever reads between the two finds a pair that does not match, and reads again.
  await replaceFiles(
    filesIn(folder, {
      [names.serverKey]: server.key,
      [names.server]: server.certificate,
      ...(login && { [loginNames.key]: login.key, [loginNames.certificate]: login.certificate }),
      [names.clientKey]: client.key,
      [names.client]: client.certificate,
    }),
  );
  await remarkOn(context, folder, authority, server);
  const path = (name: string) => printable(join(folder, name));
  const loginLine =
    login === undefined
      ? ''
      : `\n  ${path(loginNames.certificate)}   until ${dateOf(login)}, for ${login.hosts.join(', ')}${difference(login.hosts, login.before)}`;
  return `Renewed, with new keys, from the CA in ${path(names.authority)}:
  ${path(names.server)}   until ${dateOf(server)}, for ${hosts.join(', ')}${difference(hosts, before)}${loginLine}
  ${path(names.client)}   until ${dateOf(client)}

A running gateway loads its new certificate within some seconds, and logs: certificates reloaded
Copy client.crt and client.key to each machine that runs a kube-apiserver: it reads them again without a restart. The old
client certificate stays valid until it expires.
`;
}

/**
 * Makes the new certificate of the login server. Undefined: there is no old one, or another CA has issued it.
 *
 * @param now milliseconds since 1970
 * @param given its name; left out: the names of the old one
 * @throws Error when a name is given, and there is none to renew
 */
async function renewLogin(
  context: CommandContext,
  folder: string,
  authority: Authority,
  now: number,
  given?: string,
) {
  const file = join(folder, loginNames.certificate);
  const text = await readText(file, mebibyte).catch(() => undefined);
  if (text !== undefined && isIssuedByAny(authority.certificate, text)) {
    const before = hostsOf(new X509Certificate(text));
    const hosts = given === undefined ? before : [given];
    return { ...(await issueServer(authority, hosts, now)), hosts, before };
  }
  const why = text === undefined ? 'does not exist' : 'is from another CA';
  if (given !== undefined) {
    const away = text === undefined ? '' : `move it and ${loginNames.key} away, and `;
    const make = commandLine(context, ['init', folder, '--login', given]);
    throw new FixableError(
      `${what}: ${file} ${why}, so --renew can't replace it`,
      `to make a new one, ${away}run: ${make}`,
    );
  }
  if (text !== undefined) {
    printRemark(
      context,
      `${loginNames.certificate} ${why}, and is not renewed here`,
      'renew it where it was issued',
    );
  }
  return undefined;
}

/** Reports keys that others can read, and a CA that is about to end. */
async function remarkOn(
  context: CommandContext,
  folder: string,
  authority: Authority,
  server: KeyPair,
): Promise<void> {
  const keys = [names.serverKey, names.clientKey, names.authorityKey, loginNames.key];
  const files = keys.map((name) => ({ file: join(folder, name), secret: true }));
  for (const { detail, fix } of await checkPermissions(files))
    printRemark(context, printable(detail), fix && printable(fix));
  if (server.notAfter.getTime() === authority.notAfter.getTime()) {
    printRemark(
      context,
      `the CA itself expires on ${dateOf(authority)}`,
      'make a new folder with a new CA before then',
    );
  }
}

/**
 * Reads the names of the old server certificate; undefined: there is none.
 *
 * @throws Error for one from another CA, which kube-apiserver trusts
 */
async function hostsBefore(
  folder: string,
  authority: Authority,
): Promise<readonly string[] | undefined> {
  const file = join(folder, names.server);
  const text = await readText(file, mebibyte).catch(() => undefined);
  if (text === undefined) return undefined;
  if (isIssuedByAny(authority.certificate, text)) return hostsOf(new X509Certificate(text));
  throw new FixableError(
    `${what}: ${file} is not from the CA in ${join(folder, names.authority)} that ${join(folder, names.authorityKey)} belongs to`,
    'put the key of its CA there, or renew it where it was issued, or remove it and run this again with --host',
  );
}

/**
 * Requires the host that kube-apiserver calls: without it, no review would arrive.
 *
 * @throws Error when the new certificate would not have it
 */
async function requireCalledHost(folder: string, hosts: readonly string[]): Promise<void> {
  const file = join(folder, names.kubeconfig);
  const called = await calledHost(folder);
  if (called === undefined || hosts.includes(called)) return;
  throw new FixableError(
    `nothing was renewed: ${file} calls the gateway by ${called}, and the new certificate would not be for that name`,
    `add --host ${called}, or first change that file on each machine and restart kube-apiserver`,
  );
}

/** Returns the host that the kubeconfig of kube-apiserver calls; undefined: the file was changed, and does not say. */
export async function calledHost(folder: string): Promise<string | undefined> {
  const text = await readText(join(folder, names.kubeconfig), mebibyte).catch(() => '');
  return ifReadable((): string => {
    const { cluster } = parse(text).clusters[0];
    return (
      cluster['tls-server-name'] ?? new URL(cluster.server).hostname.replace(/^\[(.*)\]$/, '$1')
    );
  });
}

function ifReadable<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Describes which names are new, and which are gone: a client that calls the gateway by one of those can't reach it any more. */
function difference(hosts: readonly string[], before: readonly string[] = hosts): string {
  const part = (word: string, names: readonly string[]) =>
    names.length > 0 ? `; ${word}: ${names.join(', ')}` : '';
  const added = hosts.filter((host) => !before.includes(host));
  const removed = before.filter((host) => !hosts.includes(host));
  return part('new', added) + part('no longer', removed);
}
