import { readFileSync } from 'node:fs';
import type { TargetOptions } from './arguments.ts';
import type { ClusterConfig } from './exec-credential.ts';
import { reasonOf, usageFailure } from './failure.ts';
import { normalizeUrl, type Target } from './target.ts';

/**
 * Finds what a command is for, from its options and, for kubectl, from the extension of the cluster.
 *
 * @returns undefined when neither says it
 */
export function targetFrom(options: TargetOptions, config: ClusterConfig | undefined): Target | undefined {
  const url = options.url ?? config?.login;
  const cluster = options.cluster ?? config?.cluster;
  if (url === undefined || cluster === undefined) return;
  const login = normalizeUrl(url);
  // The CA in the extension is that of the login server in the extension.
  const ofServer = config !== undefined && isUrlOf(config, login) ? config.ca : undefined;
  const ca = options['ca-file'] === undefined ? ofServer : readCaFile(options['ca-file']);
  const account = options.username;
  return withName({ url: login, cluster, ...(ca !== undefined && { ca }), ...(account !== undefined && { account }) });
}

/** @param username is that of the account, or of the environment, unless it is given */
export function withName(target: Target, username: string | undefined = target.account): Target {
  const name = username ?? (process.env.SALLYPORT_USERNAME || undefined);
  return name === undefined ? target : { ...target, username: name };
}

function isUrlOf({ login }: ClusterConfig, url: string): boolean {
  try {
    return normalizeUrl(login) === url;
  } catch {
    // Another context of the kubeconfig is wrong: it is not asked for.
    return false;
  }
}

/** @returns PEM. @throws Failure when there is no certificate in it */
export function readCaFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw usageFailure(`--ca-file: cannot read ${file}: ${reasonOf(cause)}`, { cause });
  }
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[\w+/=\s]+-----END CERTIFICATE-----/g);
  if (certificates === null) throw usageFailure(`--ca-file: ${file} has no certificate. It must be PEM`);
  return `${certificates.join('\n')}\n`;
}
