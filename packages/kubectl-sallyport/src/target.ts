import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { TargetOptions } from './arguments.ts';
import type { ClusterConfig } from './exec-credential.ts';
import { readFileReason, usageFailure } from './failure.ts';
import { shellWord } from './text.ts';

/** A target is what a session is for: a cluster, at a login server, and maybe one of several accounts there. */
export interface Target {
  /** The URL of the login server, without a slash at its end. */
  readonly url: string;
  /** The name that the login server gives to the cluster. */
  readonly cluster: string;
  /** The CAs of the login server (PEM). Defaults to the CAs of Node and of the system. */
  readonly ca?: string | undefined;
  /** The account that the kubeconfig names. Without an account, the cluster has one session, for any user. */
  readonly account?: string | undefined;
  /** The name of the user. Without one the user is asked. */
  readonly username?: string | undefined;
  /** No option and no context names the user, only SALLYPORT_USERNAME: in a browser, the user is free to choose another account. */
  readonly isProposed?: boolean | undefined;
}

/** Finds what a command is for: its options say it, and the extension of the cluster that kubectl hands over. */
export function targetFrom(
  options: TargetOptions,
  config: ClusterConfig | undefined,
): Target | undefined {
  const url = options.url ?? config?.login;
  const cluster = options.cluster ?? config?.cluster;
  if (url === undefined || cluster === undefined) return;
  const login = normalizeUrl(url);
  const { username: account, 'ca-file': caFile } = options;
  // The CA in the extension belongs to the login server in the extension.
  const ofServer = config !== undefined && hasUrl(config, login) ? config.ca : undefined;
  const ca = caFile === undefined ? ofServer : readCaFile(caFile);
  return { url: login, cluster, ca, account, ...userFrom(account) };
}

function hasUrl({ login }: ClusterConfig, url: string): boolean {
  try {
    return normalizeUrl(login) === url;
  } catch {
    // It is wrong, but no one asked for it.
    return false;
  }
}

/** Finds the name of the user. @param required comes from an option or from a context */
export function userFrom(required: string | undefined) {
  const { SALLYPORT_USERNAME: proposed, SALLYPORT_PASSWORD_FILE: file } = process.env;
  const username = required ?? (proposed || undefined);
  // The password in a file is for this account.
  return { username, isProposed: required === undefined && username !== undefined && !file };
}

/** Reads the CAs in a file as PEM. @throws Failure when there is no certificate in it */
export function readCaFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw usageFailure(
      `--ca-file: can't read ${file}: ${readFileReason(cause)}`,
      'check the path, or ask your administrator for the CA file of the login server',
      { cause },
    );
  }
  const certificates = text.match(
    /-----BEGIN CERTIFICATE-----[\w+/=\s]+-----END CERTIFICATE-----/g,
  );
  if (certificates === null) {
    const word = shellWord(file);
    let fix = 'name the file of the CA that has a line -----BEGIN CERTIFICATE-----';
    if (text.includes('\ufffd'))
      fix = `if it is in DER, run: openssl x509 -inform DER -in ${word} -out ca.crt`;
    // It is `-----BEGIN` in base64, as `certificate-authority-data` has it.
    if (text.startsWith('LS0tLS1CRUdJTi')) fix = `run: base64 -d ${word} > ca.crt`;
    throw usageFailure(`--ca-file: ${file} contains no certificate in PEM`, fix);
  }
  return `${certificates.join('\n')}\n`;
}

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * Checks the URL of a login server, and writes it in one way.
 *
 * @throws Failure unless it is https; http is for this machine alone, because passwords are sent there
 */
export function normalizeUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    // A password can be in front of an "@".
    throw usageFailure(
      `${text.replace(/^.*@/s, '')}: it is not the URL of a login server`,
      'write one such as https://login.example.com:8444',
    );
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw usageFailure(
      'the URL of a login server has no user, no password, no "?" and no "#"',
      'leave them out',
    );
  }
  if (url.protocol === 'http:' && !loopback.test(url.hostname)) {
    throw usageFailure(
      `${text}: passwords are sent to a login server only over https`,
      `write https://${url.host}`,
    );
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** Names what is cached for a target. The name is not a secret, and hides nothing. */
export function cacheName({ url, cluster, account }: Target): string {
  const identity = JSON.stringify([url, cluster, account ?? null]);
  return createHash('sha256').update(identity).digest('hex').slice(0, 32);
}
