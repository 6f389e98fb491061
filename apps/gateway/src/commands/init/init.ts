import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { isLoopback } from '@sallyport/plugin-kit';
import { printable } from '../../base/logging/printable.ts';
import { shellQuoted } from '../../base/shell-quoted.ts';
import { FixableError } from '../../config/problems.ts';
import { userPath } from '../config-file.ts';
import type { CommandContext } from '../context.ts';
import { type ExitCode, exitCodes, printRemark, UsageError } from '../output.ts';
import { commandLine } from '../printed-commands.ts';
import { staticEntry } from '../tokens/token-hash.ts';
import { openAuthority } from './authority.ts';
import { createAuthority, issueClient, issueServer } from './certificates.ts';
import { createFiles, exists } from './files.ts';
import { isServiceName, parseHost } from './hosts.ts';
import {
  clientName,
  dateOf,
  filesIn,
  gatewayYaml,
  loginNames,
  names,
  tokensYaml,
  webhookKubeconfig,
  webhookUrl,
} from './layout.ts';
import { certifiedHosts, type InitOptions, newLoginHost, partsOf } from './options.ts';
import { missingSections, partFiles, partLines, partSteps, partsToDo, textOf } from './parts.ts';
import { calledHost, renewCertificates } from './renew.ts';
import { authenticatorSections, fileSections, type Parts } from './sections.ts';

/** Makes a config, certificates and what kube-apiserver needs; or, with `--renew`, new certificates from the same CA. */
export async function init(
  context: CommandContext,
  { dir, host = [], renew, ...more }: InitOptions,
): Promise<ExitCode> {
  if (dir.trim() === '')
    throw new UsageError('the name of the folder is empty', 'name one, such as /etc/sallyport');
  const folder = userPath(context, dir);
  const hosts = [...new Set(host.map((one) => parseHost(one)))];
  context.stdout.write(
    renew
      ? await renewCertificates(context, folder, hosts, newLoginHost(more.login))
      : await createFolder(context, folder, hosts, await partsOf(context, folder, hosts, more)),
  );
  return exitCodes.success;
}

/**
 * Writes all files into a folder, which it makes if it is missing. A folder that has a gateway.yaml gets the files of the
 * parts that it does not have. No file is overwritten.
 *
 * @param hosts those of the server; kube-apiserver's kubeconfig names the first
 */
export async function createFolder(
  context: CommandContext,
  folder: string,
  hosts: readonly string[],
  parts: Parts = {},
): Promise<string> {
  const now = context.now();
  if ((parts.redis ?? parts.login) !== undefined && (await exists(join(folder, names.config))))
    return addParts(context, folder, hosts, parts, now);
  if (hosts.length === 0) {
    throw new UsageError(
      '--host is missing',
      'add --host with each name and IP address by which a kube-apiserver calls the gateway; the first one goes into its kubeconfig',
    );
  }
  await refuseExisting(context, folder);
  const [first = ''] = hosts;
  if (isServiceName(first)) {
    printRemark(
      context,
      `${first} is the name of a Service, and a kube-apiserver on the network of its host does not ask the cluster's DNS`,
      'unless yours runs in a pod, make another folder, with an address or another name as the first --host',
    );
  }
  return createAll(context, folder, hosts, parts, now);
}

async function createAll(
  context: CommandContext,
  folder: string,
  hosts: readonly string[],
  parts: Parts,
  now: number,
): Promise<string> {
  const [host = ''] = hosts;
  const authority = await createAuthority(now);
  const server = await issueServer(authority, hosts, now);
  const client = await issueClient(authority, clientName, now);
  const files = await partFiles(folder, parts, (name) => issueServer(authority, [name], now));
  const token = randomBytes(32).toString('base64url');
  // The token is for the first review. It expires after a day.
  const end = new Date(now + 86_400_000);
  const more = {
    authenticators: textOf(authenticatorSections(parts)),
    sections: textOf(fileSections(parts, hosts)),
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
      ...files,
      [names.config]: gatewayYaml(hosts, more),
    }),
  );
  return `Created in ${printable(folder)}:
  gateway.yaml      the config
  tokens.yaml       digests of tokens: one, for the first review
  tls/              the CA, until ${dateOf(authority)}; the server's certificate, until ${dateOf(server)}, for ${hosts.join(', ')}
  kube-apiserver/   webhook.kubeconfig with its files: the CA, and a client certificate until ${dateOf(client)}
${partLines(parts, files)}
${await partSteps(context, folder, parts)}${nextSteps(context, folder, host, token)}`;
}

/** Writes the files of the parts that are missing. gateway.yaml belongs to the user, so what it lacks is shown. */
async function addParts(
  context: CommandContext,
  folder: string,
  hosts: readonly string[],
  parts: Parts,
  now: number,
): Promise<string> {
  const missing = await missingSections(context, folder, parts, hosts);
  const files = await partFiles(folder, parts, async (name) =>
    issueServer(await openAuthority(folder, 'nothing was written', loginFix, now), [name], now),
  );
  const [entries, sections] = [textOf(missing.authenticators), textOf(missing.sections)];
  if (Object.keys(files).length === 0 && entries + sections === '') {
    const { login } = parts;
    const renew =
      login &&
      `to replace the login certificate, run: ${commandLine(context, ['init', folder, '--renew', '--login', login.host])}`;
    throw new FixableError(
      `nothing was written: ${printable(folder)} already has all of that`,
      renew,
    );
  }
  await createFiles(filesIn(folder, files));
  const certified = await certifiedHosts(folder);
  if (certified.length > 0 && hosts.some((host) => !certified.includes(host))) {
    // Without the host that kube-apiserver calls, --renew would refuse.
    const all = new Set([(await calledHost(folder)) ?? [], hosts].flat());
    const renew = commandLine(context, ['init', folder, '--renew', '--host', ...all]);
    printRemark(
      context,
      `${names.server} is still for ${certified.join(', ')}`,
      `to change these names, run: ${renew}`,
    );
  }
  const config = printable(join(folder, names.config));
  return [
    `Created in ${printable(folder)}: ${Object.keys(files).join(', ') || 'nothing'}\n`,
    entries && `Add to the end of authenticators in ${config}:\n\n${entries}`,
    sections && `Add to the end of ${config}:\n\n${sections}`,
    await partSteps(
      context,
      folder,
      partsToDo(parts, files, [...missing.authenticators, ...missing.sections]),
    ),
    `Then run:\n\n  ${commandLine(context, ['check'], join(folder, names.config))}\n`,
  ]
    .filter((one) => one !== '')
    .map((one) => one.trimEnd())
    .join('\n\n')
    .concat('\n');
}

const loginFix =
  "put the file of the CA that init made back for now: it issues the login server's certificate. Or put a certificate of your " +
  `own into ${loginNames.certificate} and ${loginNames.key}`;

async function refuseExisting(context: CommandContext, folder: string): Promise<void> {
  const all = Object.values(names);
  const found = await Promise.all(all.map((name) => exists(join(folder, name))));
  const which = all.filter((_name, index) => found[index]);
  if (which.length === 0) return;
  const renew = commandLine(context, ['init', folder, '--renew']);
  throw new FixableError(
    `nothing was written: ${printable(folder)} already has ${which.join(', ')}, and init overwrites no file`,
    `for new certificates from the same CA, run: ${renew}. For anything else, name another folder`,
  );
}

function nextSteps(context: CommandContext, folder: string, host: string, token: string): string {
  const path = (name: string) => printable(join(folder, name));
  const config = join(folder, names.config);
  return `Next, run:

  ${commandLine(context, ['check'], config)}
  ${commandLine(context, ['serve'], config)}

Then, in another terminal on this machine, send a first review. The response contains "authenticated":true. The token is shown
only once. The token expires after a day, and its user "first-try" is in no group:

  ${firstReview(folder, host, token)}

Then copy ${path('kube-apiserver')} to the same path on each machine that runs a kube-apiserver, and add to its flags:

  --authentication-token-webhook-config-file=${path(names.kubeconfig)}
  --authentication-token-webhook-version=v1

Only init needs ${path(names.authorityKey)}. Anyone with this key can make certificates of this gateway and of its clients: keep it offline.
`;
}

/**
 * Writes the first review. The shell's own printf gets the token, so no list of processes shows it. The host's name need not lead here yet.
 */
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
