import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { isLoopback } from '@sallyport/plugin-options';
import { printable } from '../logging/printable.ts';
import { commandLine, shellQuoted } from './command-line.ts';
import { userPath } from './config-file.ts';
import { createAuthority, issueClient, issueServer } from './init/certificates.ts';
import { createFiles, exists } from './init/files.ts';
import { parseHost } from './init/hosts.ts';
import {
  clientName,
  dateOf,
  filesIn,
  gatewayYaml,
  names,
  tokensYaml,
  webhookKubeconfig,
  webhookUrl,
} from './init/layout.ts';
import { renewCertificates } from './init/renew.ts';
import { exitCodes, UsageError } from './output.ts';
import { staticEntry } from './token-hash.ts';

/** Makes a config, certificates and what kube-apiserver needs; or, with `--renew`, new certificates from the same CA. */
export async function init({ dir, host = [], renew }: { dir: string; host?: readonly string[]; renew?: boolean }) {
  if (dir.trim() === '') throw new UsageError('the folder is empty: name one, such as /etc/sallyport');
  const folder = userPath(dir);
  const hosts = [...new Set(host.map(parseHost))];
  if (!renew && hosts.length === 0) {
    throw new UsageError(
      '--host is missing: give each name and IP address by which a kube-apiserver calls the gateway, the one for its kubeconfig first',
    );
  }
  process.stdout.write(await (renew ? renewCertificates : createFolder)(folder, hosts));
  return exitCodes.success;
}

/**
 * Writes all files into a folder, which it makes if it is missing. If one of them exists, it writes nothing.
 *
 * @param hosts not empty; kube-apiserver's kubeconfig names the first
 */
export async function createFolder(folder: string, hosts: readonly string[], now = Date.now()): Promise<string> {
  const [host = ''] = hosts;
  await refuseExisting(folder);
  const authority = await createAuthority(now);
  const server = await issueServer(authority, hosts, now);
  const client = await issueClient(authority, clientName, now);
  const token = randomBytes(32).toString('base64url');
  // The token is for the first review, and good for a day.
  const end = new Date(now + 86_400_000);
  await createFiles(
    filesIn(folder, {
      [names.authorityKey]: authority.key,
      [names.authority]: authority.certificate,
      [names.serverKey]: server.key,
      [names.server]: server.certificate,
      [names.clientKey]: client.key,
      [names.client]: client.certificate,
      [names.clientAuthority]: authority.certificate,
      [names.kubeconfig]: webhookKubeconfig(host),
      [names.tokens]: tokensYaml(staticEntry(token, { username: 'first-try' }, end)),
      [names.config]: gatewayYaml(hosts),
    }),
  );
  return `Created in ${printable(folder)}:
  gateway.yaml      the config
  tokens.yaml       digests of tokens: one, for the first review
  tls/              the CA, until ${dateOf(authority)}; the server's certificate, until ${dateOf(server)}, for ${hosts.join(', ')}
  kube-apiserver/   webhook.kubeconfig with its files: the CA, and a client certificate until ${dateOf(client)}

${nextSteps(folder, host, token)}`;
}

async function refuseExisting(folder: string): Promise<void> {
  const all = Object.values(names);
  const found = await Promise.all(all.map((name) => exists(join(folder, name))));
  const which = all.filter((_name, index) => found[index]);
  if (which.length === 0) return;
  const renew = commandLine(['init', folder, '--renew']);
  throw new Error(
    `nothing was written: ${printable(folder)} has ${which.join(', ')} already, and init overwrites no file. ` +
      `For new certificates from the same CA, run: ${renew}. For anything else, name another folder`,
  );
}

function nextSteps(folder: string, host: string, token: string): string {
  const path = (name: string) => printable(join(folder, name));
  const config = join(folder, names.config);
  return `Next, run:

  ${commandLine(['check'], config)}
  ${commandLine(['serve'], config)}

and in another terminal of this machine a first review. Its answer has "authenticated":true. The token is shown this once. It
ends after a day, and its user "first-try" is in no group:

  ${firstReview(folder, host, token)}

Then copy ${path('kube-apiserver')} to the same path on each machine that runs a kube-apiserver, and add to its flags:

  --authentication-token-webhook-config-file=${path(names.kubeconfig)}
  --authentication-token-webhook-version=v1

Only init --renew needs ${path(names.authorityKey)}. Whoever has it can make a certificate to send reviews: keep it offline.
`;
}

/** The shell's own printf has the token, so it is in no list of processes. The name of the host need not lead here yet. */
function firstReview(folder: string, host: string, token: string): string {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
  const file = (name: string) => shellQuoted(join(folder, name));
  const here = isLoopback(host) ? '' : ' --connect-to ::127.0.0.1:';
  return (
    `printf %s ${shellQuoted(JSON.stringify(review))} | curl -sS${here} --cacert ${file(names.clientAuthority)}` +
    ` --cert ${file(names.client)} --key ${file(names.clientKey)}` +
    ` -H 'Content-Type: application/json' --data-binary @- ${shellQuoted(webhookUrl(host))}`
  );
}
