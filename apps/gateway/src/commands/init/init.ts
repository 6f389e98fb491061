import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { isLoopback } from '@sallyport/plugin-kit';
import { printable } from '../../base/logging/printable.ts';
import { shellQuoted } from '../../base/shell-quoted.ts';
import { FixableError } from '../../config/problems.ts';
import { usualAudience } from '../../config/unlikely.ts';
import { userPath } from '../config-file.ts';
import type { CommandContext } from '../context.ts';
import { type ExitCode, exitCodes, printRemark, UsageError } from '../output.ts';
import { commandLine } from '../printed-commands.ts';
import { staticEntry } from '../tokens/token-hash.ts';
import { createAuthority, issueClient, issueServer } from './certificates.ts';
import { createFiles, exists } from './files.ts';
import { isServiceName, parseHost } from './hosts.ts';
import {
  clientName,
  filesIn,
  formatEnd,
  gatewayYaml,
  loginNames,
  names,
  redisNames,
  tokensYaml,
  webhookKubeconfig,
  webhookUrl,
} from './layout.ts';
import { type InitOptions, newLoginHost, readParts } from './options.ts';
import { describeAudience, describeParts, makeParts } from './parts.ts';
import { renewCertificates } from './renew.ts';
import { apiAudiencesLine, authenticatorSections, fileSections, type Parts } from './sections.ts';

/** Makes a config, certificates and what kube-apiserver needs; or, with `--renew`, new certificates from the same CA. */
export async function init(
  context: CommandContext,
  { dir, host = [], renew, ...partOptions }: InitOptions,
): Promise<ExitCode> {
  if (dir.trim() === '')
    throw new UsageError('the name of the folder is empty', 'name one, such as /etc/sallyport');
  const folder = userPath(context, dir);
  const hosts = [...new Set(host.map((name) => parseHost(name)))];
  context.stdout.write(
    renew
      ? await renewCertificates(context, folder, hosts, newLoginHost(partOptions.login))
      : await createFolder(context, folder, hosts, await readParts(context, hosts, partOptions)),
  );
  return exitCodes.success;
}

/**
 * Writes all files into a folder, which it makes if it is missing. Of a folder that has a gateway.yaml it writes nothing: it describes how
 * to add the parts. No file is overwritten.
 *
 * @param hosts the hosts of the server; kube-apiserver's kubeconfig names the first
 */
export async function createFolder(
  context: CommandContext,
  folder: string,
  hosts: readonly string[],
  chosenParts: Parts = { audience: usualAudience },
): Promise<string> {
  const { redis } = chosenParts;
  if (redis !== undefined && (await exists(join(folder, names.config))))
    return describeParts(context, folder, hosts, { ...chosenParts, redis });
  if (hosts.length === 0) {
    throw new UsageError(
      '--host is missing',
      `add each name and IP address by which a kube-apiserver calls the gateway, first the one for its kubeconfig: ${commandLine(context, ['init', folder, '--host', 'gateway.example.com'])}`,
    );
  }
  await refuseExisting(context, folder, chosenParts);
  const [calledHost = ''] = hosts;
  if (isServiceName(calledHost)) {
    printRemark(
      context,
      `${calledHost} is the name of a Service, and a kube-apiserver on the network of its host does not ask the cluster's DNS`,
      'unless yours runs in a pod, make another folder, with an address or another name as the first --host',
    );
  }
  return createAll(context, folder, hosts, chosenParts);
}

async function createAll(
  context: CommandContext,
  folder: string,
  hosts: readonly string[],
  chosenParts: Parts,
): Promise<string> {
  const now = context.now();
  const [host = ''] = hosts;
  const authority = await createAuthority(now);
  const server = await issueServer(authority, hosts, now);
  const client = await issueClient(authority, clientName, now);
  const newParts = await makeParts(context, folder, chosenParts, (name) =>
    issueServer(authority, [name], now),
  );
  const token = randomBytes(32).toString('base64url');
  // The token is for the first review. It expires after a day.
  const end = new Date(now + 86_400_000);
  const sections = {
    server: apiAudiencesLine(chosenParts.audience),
    authenticators: authenticatorSections(chosenParts),
    sections: fileSections(chosenParts, hosts),
  };
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
      ...newParts.files,
      [names.config]: gatewayYaml(hosts, sections),
    }),
  );
  return `Created in ${printable(folder)}:
  gateway.yaml      the config
  tokens.yaml       digests of tokens: one, for the first review
  tls/              the CA, until ${formatEnd(authority)}; the server's certificate, until ${formatEnd(server)}, for ${hosts.join(', ')}
  kube-apiserver/   webhook.kubeconfig with its files: the CA, and a client certificate until ${formatEnd(client)}
${newParts.lines}
${newParts.steps}${nextSteps(context, folder, host, token, chosenParts)}`;
}

async function refuseExisting(
  context: CommandContext,
  folder: string,
  { redis, login }: Parts,
): Promise<void> {
  const newNames = [
    ...Object.values(names),
    ...(redis === undefined ? [] : Object.values(redisNames)),
    ...(login === undefined ? [] : Object.values(loginNames)),
  ];
  const answers = await Promise.all(newNames.map((name) => exists(join(folder, name))));
  const existing = newNames.filter((_name, index) => answers[index]);
  if (existing.length === 0) return;
  const renew = commandLine(context, ['init', folder, '--renew']);
  throw new FixableError(
    `nothing was written: ${printable(folder)} already has ${existing.join(', ')}, and init overwrites no file`,
    `for new certificates from the same CA, run: ${renew}. For anything else, name another folder`,
  );
}

function nextSteps(
  context: CommandContext,
  folder: string,
  host: string,
  token: string,
  { login, audience }: Parts,
): string {
  const path = (name: string) => printable(join(folder, name));
  const start = { ...context, config: join(folder, names.config) };
  return `Next, run:

  ${commandLine(start, ['check'])}
  ${commandLine(start, ['serve'])}

Then, in another terminal on this machine, send a first review. The response contains "authenticated":true. The token is shown
only once. The token expires after a day, and its user "first-try" is in no group:

  ${firstReview(folder, host, token)}

Then copy ${path('kube-apiserver')} to the same path on each machine that runs a kube-apiserver, and add to its flags:

  --authentication-token-webhook-config-file=${path(names.kubeconfig)}
  --authentication-token-webhook-version=v1
  --authentication-token-webhook-cache-ttl=30s
${login === undefined ? '' : `\n${describeAudience(path(names.config), audience)}`}
Only init needs ${path(names.authorityKey)}. Anyone with this key can make certificates of this gateway and of its clients: keep it offline.
`;
}

/**
 * Writes the first review. The shell's own printf gets the token, so no list of processes shows it. The host's name need not lead here yet.
 */
function firstReview(folder: string, host: string, token: string): string {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
  const file = (name: string) => shellQuoted(join(folder, name));
  const connectTo = isLoopback(host) ? '' : ' --connect-to ::127.0.0.1:';
  return (
    `printf %s ${shellQuoted(JSON.stringify(review))} | curl -sS${connectTo} --cacert ${file(names.clientAuthority)}` +
    ` --cert ${file(names.client)} --key ${file(names.clientKey)}` +
    ` -H 'Content-Type: application/json' --data-binary @- ${shellQuoted(webhookUrl(host))}`
  );
}
