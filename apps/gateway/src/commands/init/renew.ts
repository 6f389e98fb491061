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
import { exists, replaceFiles } from './files.ts';
import { listHosts } from './hosts.ts';
import { clientName, filesIn, formatEnd, loginNames, names } from './layout.ts';
import { describeNewName } from './new-login-name.ts';

/**
 * Replaces the certificates of the server, of the login server and of kube-apiserver, and their keys, by new ones from the same
 * CA. Until all of them are on disk, and when one can't be written, the old ones stay.
 *
 * @param newHosts the names of the new server certificate; empty: the names of the old one
 * @param loginHost the name of the new login certificate; left out: the names of the old one, if there is one
 */
export async function renewCertificates(
  context: CommandContext,
  folder: string,
  newHosts: readonly string[],
  loginHost?: string,
): Promise<string> {
  const now = context.now();
  const authority = await openAuthority(context, folder, now);
  const oldHosts = await readOldHosts(folder, authority);
  if (newHosts.length > 0) await requireCalledHost(folder, newHosts);
  const hosts = newHosts.length > 0 ? newHosts : oldHosts;
  if (hosts === undefined) {
    throw new FixableError(
      `nothing was renewed: ${join(folder, names.server)} does not exist, so the names for a new one are not known`,
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
  const newName = loginHost === undefined ? '' : await describeNewName(folder, loginHost);
  const loginLine =
    login === undefined
      ? ''
      : `\n  ${path(loginNames.certificate)}   until ${formatEnd(login)}, for ${login.hosts.join(', ')}${difference(login.hosts, login.oldHosts)}`;
  return `Renewed, with new keys, from the CA in ${path(names.authority)}:
  ${path(names.server)}   until ${formatEnd(server)}, for ${hosts.join(', ')}${difference(hosts, oldHosts)}${loginLine}
  ${path(names.client)}   until ${formatEnd(client)}

A running gateway loads its new certificate within some seconds, and logs: certificates reloaded
Copy client.crt and client.key to each machine that runs a kube-apiserver: it reads them again without a restart. The old
client certificate stays valid until it expires.
${newName}`;
}

/**
 * Makes the new certificate of the login server. Undefined: no name is given, and there is no old one, or another CA has issued it.
 *
 * @param now milliseconds since 1970
 * @param newHost its name; left out: the names of the old one
 * @throws Error when a name is given, and a file that init did not make would be replaced
 */
async function renewLogin(
  context: CommandContext,
  folder: string,
  authority: Authority,
  now: number,
  newHost?: string,
) {
  const file = join(folder, loginNames.certificate);
  const text = await readText(file, mebibyte).catch(() => undefined);
  if (text !== undefined && isIssuedByAny(authority.certificate, text)) {
    const oldHosts = listHosts(new X509Certificate(text));
    const hosts = newHost === undefined ? oldHosts : [newHost];
    return { ...(await issueServer(authority, hosts, now)), hosts, oldHosts };
  }
  if (newHost !== undefined) {
    const isFree = (await Promise.all([file, join(folder, loginNames.key)].map(exists))).every(
      (isTaken) => !isTaken,
    );
    if (isFree) {
      const hosts = [newHost];
      return { ...(await issueServer(authority, hosts, now)), hosts, oldHosts: hosts };
    }
    const reason =
      text === undefined
        ? `can't be read, or ${loginNames.key} is without it`
        : 'is from another CA';
    const renewCommand = commandLine(context, ['init', folder, '--renew', '--login', newHost]);
    throw new FixableError(
      `nothing was renewed: ${file} ${reason}, so --renew can't replace it`,
      `to make a new one, move it and ${loginNames.key} away, and run: ${renewCommand}`,
    );
  }
  if (text !== undefined) {
    printRemark(
      context,
      `${loginNames.certificate} is from another CA, and is not renewed here`,
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
      `the CA itself expires on ${formatEnd(authority)}`,
      'make a new folder with a new CA before then',
    );
  }
}

/**
 * Reads the names of the old server certificate; undefined: there is none.
 *
 * @throws Error for one from another CA, which kube-apiserver trusts
 */
async function readOldHosts(
  folder: string,
  authority: Authority,
): Promise<readonly string[] | undefined> {
  const file = join(folder, names.server);
  const text = await readText(file, mebibyte).catch(() => undefined);
  if (text === undefined) return undefined;
  if (isIssuedByAny(authority.certificate, text)) return listHosts(new X509Certificate(text));
  throw new FixableError(
    `nothing was renewed: ${file} is not from the CA in ${join(folder, names.authority)} that ${join(folder, names.authorityKey)} belongs to`,
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
  const called = await readCalledHost(folder);
  if (called === undefined || hosts.includes(called)) return;
  throw new FixableError(
    `nothing was renewed: ${file} calls the gateway by ${called}, and the new certificate would not be for that name`,
    `add --host ${called}, or first change that file on each machine and restart kube-apiserver`,
  );
}

/** Returns the host that the kubeconfig of kube-apiserver calls; undefined: the file was changed, and does not say. */
async function readCalledHost(folder: string): Promise<string | undefined> {
  try {
    const { clusters } = parse(await readText(join(folder, names.kubeconfig), mebibyte));
    const { server, 'tls-server-name': tlsName } = clusters[0].cluster;
    return tlsName ?? new URL(server).hostname.replace(/^\[(.*)\]$/, '$1');
  } catch {
    return undefined;
  }
}

/** Describes which names are new, and which are gone: a client that calls the gateway by a name that is gone can't reach it any more. */
function difference(hosts: readonly string[], oldHosts: readonly string[] = hosts): string {
  const list = (word: string, names: readonly string[]) =>
    names.length > 0 ? `; ${word}: ${names.join(', ')}` : '';
  const added = hosts.filter((host) => !oldHosts.includes(host));
  const removed = oldHosts.filter((host) => !hosts.includes(host));
  return list('new', added) + list('no longer', removed);
}
