import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { parse } from 'yaml';
import { readText, UnusableFileError } from '../../config/read-text.ts';
import { printable } from '../../logging/printable.ts';
import { checkPermissions } from '../check-files.ts';
import { printRemark } from '../output.ts';
import { type Authority, issueClient, issueServer, readAuthority } from './certificates.ts';
import { replaceFiles } from './files.ts';
import { hostsOf } from './hosts.ts';
import { clientName, dateOf, filesIn, names } from './layout.ts';

const mebibyte = 1024 * 1024;

/**
 * Replaces the certificates of the server and of kube-apiserver, and their keys, by new ones from the same CA. Until all of
 * them are on disk, and when one can't be written, the old ones stay.
 *
 * @param given the names of the new server certificate; empty: those of the old
 */
export async function renewCertificates(folder: string, given: readonly string[], now = Date.now()): Promise<string> {
  const authority = await openAuthority(folder, now);
  const before = await hostsBefore(folder, authority);
  if (given.length > 0) await requireCalledHost(folder, given);
  const hosts = given.length > 0 ? given : before;
  if (hosts === undefined) {
    throw new Error(
      `${join(folder, names.server)} does not exist, so the names for a new one are not known: add --host NAME_OR_IP`,
    );
  }
  const server = await issueServer(authority, hosts, now);
  const client = await issueClient(authority, clientName, now);
  // A key goes first: whoever reads between the two finds a pair that does not match, and reads again.
  await replaceFiles(
    filesIn(folder, {
      [names.serverKey]: server.key,
      [names.server]: server.certificate,
      [names.clientKey]: client.key,
      [names.client]: client.certificate,
    }),
  );
  const keys = [names.serverKey, names.clientKey, names.authorityKey];
  const files = keys.map((name) => ({ file: join(folder, name), secret: true }));
  for (const { detail } of await checkPermissions(files)) printRemark(printable(detail));
  if (server.notAfter.getTime() === authority.notAfter.getTime()) {
    printRemark(`the CA itself ends on ${dateOf(authority)}: make a new folder with a new CA before that`);
  }
  const path = (name: string) => printable(join(folder, name));
  return `Renewed, with new keys, from the CA in ${path(names.authority)}:
  ${path(names.server)}   until ${dateOf(server)}, for ${hosts.join(', ')}${difference(hosts, before)}
  ${path(names.client)}   until ${dateOf(client)}

A running gateway loads its new certificate within some seconds, and logs: certificates reloaded
Copy client.crt and client.key to each machine that runs a kube-apiserver: it reads them again without a restart. The old
client certificate stays valid until it expires.
`;
}

async function openAuthority(folder: string, now: number): Promise<Authority> {
  const purpose =
    '--renew needs the CA that init made. Put its file back, or make a new CA in another folder: init DIR --host …';
  const [certificate = '', key = ''] = await Promise.all(
    [names.authority, names.authorityKey].map(async (name) => {
      try {
        return await readText(join(folder, name), mebibyte);
      } catch (error) {
        if (!(error instanceof UnusableFileError)) throw error;
        throw new Error(`nothing was renewed: ${error.message}: ${purpose}`, { cause: error });
      }
    }),
  );
  try {
    return await readAuthority(certificate, key, now);
  } catch (error) {
    const files = `${join(folder, names.authority)} with ${join(folder, names.authorityKey)}`;
    // Errors of OpenSSL quote nothing of a key, but are not for people.
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === undefined ? message : 'this is no PEM certificate with its key';
    throw new Error(`nothing was renewed: ${files}: ${reason}. ${purpose}`, { cause: error });
  }
}

/** @returns undefined: there is no certificate. @throws Error for one from another CA: kube-apiserver trusts that one */
async function hostsBefore(folder: string, authority: Authority): Promise<readonly string[] | undefined> {
  const file = join(folder, names.server);
  const text = await readText(file, mebibyte).catch(() => undefined);
  if (text === undefined) return undefined;
  const issuer = new X509Certificate(authority.certificate);
  const found = ifReadable(() => new X509Certificate(text));
  if (found?.checkIssued(issuer) && found.verify(issuer.publicKey)) return hostsOf(found);
  throw new Error(
    `nothing was renewed: ${file} is not from the CA in ${join(folder, names.authority)}. Renew it where it was issued, ` +
      'or remove it, and run this again with --host',
  );
}

/** @throws Error when the new certificate would not be for the host that kube-apiserver calls: no review would arrive */
async function requireCalledHost(folder: string, hosts: readonly string[]): Promise<void> {
  const file = join(folder, names.kubeconfig);
  const text = await readText(file, mebibyte).catch(() => '');
  // It may have been changed into something else: what it calls is not known here then.
  const called: string | undefined = ifReadable(() => {
    const { cluster } = parse(text).clusters[0];
    return cluster['tls-server-name'] ?? new URL(cluster.server).hostname.replace(/^\[(.*)\]$/, '$1');
  });
  if (called === undefined || hosts.includes(called)) return;
  throw new Error(
    `nothing was renewed: ${file} calls the gateway by ${called}, and the new certificate would not be for that name. ` +
      `Add --host ${called}, or first change that file on each machine and restart kube-apiserver`,
  );
}

function ifReadable<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Which names come and go: clients that call the gateway by a name that goes lose it. */
function difference(hosts: readonly string[], before: readonly string[] = hosts): string {
  const part = (word: string, names: readonly string[]) => (names.length > 0 ? `; ${word}: ${names.join(', ')}` : '');
  const added = hosts.filter((host) => !before.includes(host));
  const removed = before.filter((host) => !hosts.includes(host));
  return part('new', added) + part('no longer', removed);
}
