import { X509Certificate } from 'node:crypto';
import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname } from 'node:path';
import { getCACertificates } from 'node:tls';
import { isAnchor, isLoopback, parseCertificates, tlsFileLimit } from '@sallyport/plugin-options';
import { type ConfigProblem, causeOf } from '../config/problems.ts';
import { readBytes, withFix } from '../config/read-text.ts';
import type { GatewayConfig, LoginConfig, ServerConfig } from '../config/types.ts';
import type { WatchedFile } from '../files/watcher.ts';
import { isTrustedChain } from '../login/trusted-chain.ts';
import { authority } from '../server/http-server.ts';
import { readTlsMaterial, type TlsMaterial } from '../server/tls.ts';
import { shellQuoted } from '../shell-quoted.ts';
import { namesOf } from './init/hosts.ts';
import { loginNames, names } from './init/layout.ts';
import { reissue } from './reissue.ts';

/** A Finding is one line of what `check` prints. */
export interface Finding {
  /** What was looked at: `config`, `server certificate`, `authenticator corp`. */
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'error';
  /** What was found, and how to fix it. */
  readonly detail: string;
  /** The same in parts, if it is about a place in the config. */
  readonly problem?: ConfigProblem;
}

/** Runs one check. What it throws becomes an error; each error of an AggregateError becomes one of its own. */
export async function tryOut(
  check: string,
  look: () => Promise<readonly Finding[]>,
  wording = (cause: string) => cause,
) {
  try {
    return await look();
  } catch (error) {
    const causes: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
    return causes.map((cause): Finding => ({ check, result: 'error', detail: wording(causeOf(cause)) }));
  }
}

/** Reads the files of `server.tls` as `serve` does, and compares the certificate with the address. */
export function checkCertificates({ server, baseDirectory }: Pick<GatewayConfig, 'server' | 'baseDirectory'>) {
  const { tls } = server;
  const compare = ": the server in kube-apiserver's webhook kubeconfig must be one of these";
  const serverProblems = (certificate: X509Certificate) => addressProblems(certificate, server, baseDirectory);
  return checkTls('TLS', tls && readTlsMaterial(tls), serverProblems, compare);
}

/** Checks what the login server needs besides its authenticators. @param isWhole false: parts with errors are left out of the config */
export async function checkLogin(
  { login, cache, baseDirectory }: Pick<GatewayConfig, 'login' | 'cache' | 'baseDirectory'>,
  isWhole: boolean,
) {
  if (login === undefined) return [];
  const read = login.tls && readTlsMaterial(login.tls, 'login');
  const hostProblem = (certificate: X509Certificate) => urlProblem(certificate, login, baseDirectory);
  const authorities = authoritiesOf(login).map(({ setting, file }) => {
    const look = async () => {
      const read = readBytes(file, tlsFileLimit).catch((error: unknown) => {
        throw withFix(error);
      });
      const certificates = parseCertificates(await read);
      // login.caFile is compared with the certificate of the login server.
      return setting === 'login.caFile' ? [] : authorityProblems(certificates, `${setting}: ${file}`);
    };
    return tryOut('login', look, (cause) => `${setting}: ${cause.includes(file) ? cause : `${file} ${cause}`}`);
  });
  const unsealed =
    'without cache.redis sessions are not sealed, so whoever can write to the Redis of sessions can make one; ' +
    'and each replica asks the directory by itself';
  return [
    ...(await checkTls('login TLS', read, hostProblem)),
    ...(await Promise.all(authorities)).flat(),
    ...(await checkLoginAuthority(login)),
    ...(cache.redis === undefined && isWhole ? [{ check: 'login', result: 'warning', detail: unsealed } as const] : []),
  ];
}

/**
 * Warns of the certificate of a server in the place of a CA. kubectl trusts it (Go takes a root as it is), but only until the API server
 * gets another one. A certificate that has signed itself has no CA above it.
 */
function authorityProblems(certificates: readonly X509Certificate[], place: string): readonly Finding[] {
  const [first] = certificates;
  if (first === undefined || certificates.some(isAnchor)) return [];
  const detail =
    `${place} has no CA, but the certificate of ${first.subject.replaceAll('\n', ', ')}: kubectl would trust that server until its ` +
    `certificate is renewed, and no other one. Write the certificate of the CA that signed it (${first.issuer.replaceAll('\n', ', ')})`;
  return [{ check: 'login', result: 'warning', detail }];
}

/**
 * Compares the CA that kubeconfigs get, or the CAs that this machine knows where they get none, with the certificate that they meet. A
 * file that can't be read is reported elsewhere.
 */
async function checkLoginAuthority({ tls, caFile }: LoginConfig): Promise<readonly Finding[]> {
  if (tls === undefined) return [];
  try {
    const chain = parseCertificates(await readBytes(tls.certFile, tlsFileLimit));
    const trusted =
      caFile === undefined ? knownAuthorities() : parseCertificates(await readBytes(caFile, tlsFileLimit));
    if (isTrustedChain(chain, trusted)) return [];
  } catch {
    return [];
  }
  const detail = caFile === undefined ? unknownAuthority(tls) : otherAuthority(tls, caFile);
  return [{ check: 'login', result: 'warning', detail }];
}

/** Returns the CAs that `kubectl sallyport` trusts if its kubeconfig has none. */
function knownAuthorities(): readonly X509Certificate[] {
  const pems = new Set([...getCACertificates('default'), ...getCACertificates('system')]);
  return [...pems].map((pem) => new X509Certificate(pem));
}

type LoginTls = Pick<NonNullable<LoginConfig['tls']>, 'certFile'>;

function unknownAuthority({ certFile }: LoginTls): string {
  return (
    `no login.caFile is set, and no CA that this machine knows signed the certificate in ${certFile} (login.tls.certFile), or its chain ` +
    'is not complete: kubectl sallyport would refuse it. Write the root CA of that certificate into login.caFile, and its intermediate ' +
    'CAs, if it has some, into login.tls.certFile below it. If the machines of your users know that CA, or a proxy with another ' +
    'certificate is in front of this server, nothing is wrong'
  );
}

function otherAuthority({ certFile }: LoginTls, caFile: string): string {
  return (
    `login.caFile: the CAs in ${caFile} did not sign the certificate in ${certFile} (login.tls.certFile), or its chain is not ` +
    'complete: kubectl sallyport would refuse it. Write the root CA of that certificate into login.caFile, and its ' +
    'intermediate CAs, if it has some, into login.tls.certFile below it. If a proxy with another certificate is in front of this ' +
    'server, nothing is wrong'
  );
}

/** Lists the certificates, with their names: the config does not have the one that kube-apiserver calls, so the operator compares. */
function checkTls(
  check: string,
  read: Promise<TlsMaterial> | undefined,
  problemsOf: (server: X509Certificate) => Promise<readonly string[]>,
  advice = '',
) {
  return tryOut(check, async () => {
    if (read === undefined) return [{ check, result: 'ok', detail: 'none: plain HTTP on loopback' }];
    const { cert, certificates, warnings } = await read;
    const server = new X509Certificate(cert);
    return [
      ...certificates.map(({ certificate, subject, notAfter }): Finding => {
        const names = certificate === 'client-ca' ? '' : `, for ${server.subjectAltName}${advice}`;
        const detail = `${subject}, until ${notAfter.toISOString()}${names}`;
        return { check: `${certificate} certificate`, result: 'ok', detail };
      }),
      ...[...warnings, ...(await problemsOf(server))].map((detail): Finding => ({ check, result: 'warning', detail })),
    ];
  });
}

async function addressProblems(
  certificate: X509Certificate,
  { listen: { host, port }, tls }: ServerConfig,
  folder: string,
): Promise<string[]> {
  const hosts = isLoopback(host) ? ['127.0.0.1', '::1', 'localhost'] : [host];
  const isEvery = host === '::' || host === '0.0.0.0';
  if (tls === undefined || isEvery || hosts.some((each) => isFor(certificate, each))) return [];
  const all = [...namesOf(certificate), host];
  return [
    `the server certificate is not for ${host}, where server.listen is: kube-apiserver would refuse it at ` +
      `https://${authority(host, port)}. Call the gateway by ${certificate.subjectAltName}, or get a certificate with that name too. ` +
      (await reissue(tls, all, { folder, certificate: names.server, option: '--host' })),
  ];
}

async function urlProblem(
  certificate: X509Certificate,
  { publicUrl, tls }: LoginConfig,
  folder: string,
): Promise<string[]> {
  const host = new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1');
  if (tls === undefined || isFor(certificate, host)) return [];
  return [
    `the login certificate is for ${certificate.subjectAltName}, and not for ${host}, the host of login.publicUrl: clients would ` +
      `refuse it. Correct login.publicUrl, or the certificate. ` +
      (await reissue(tls, [host], { folder, certificate: loginNames.certificate, option: '--login' })),
  ];
}

function isFor(certificate: X509Certificate, host: string): boolean {
  const found = isIP(host) === 0 ? certificate.checkHost(host, { subject: 'never' }) : certificate.checkIP(host);
  return found !== undefined;
}

function authoritiesOf({ caFile, clusters }: LoginConfig) {
  const files = [
    ['login.caFile', caFile] as const,
    ...Object.entries(clusters).map(([name, one]) => [`login.clusters.${name}.caFile`, one.caFile] as const),
  ];
  return files.flatMap(([setting, file]) => (file === undefined ? [] : [{ setting, file }]));
}

/** A TrustedFile decides who gets into the cluster. `secret`: it has a key, a password or a token. */
export type TrustedFile = Pick<WatchedFile, 'file' | 'secret'>;

export function filesOf(config: GatewayConfig): readonly TrustedFile[] {
  const { server, login } = config;
  const tls = [server.tls, login?.tls].filter((one) => one !== undefined);
  const secrets = [...config.secretFiles, ...tls.map(({ keyFile }) => keyFile)];
  const client = server.tls?.client;
  const others = [
    ...[...config.pluginFiles, ...tls.map(({ certFile }) => certFile)],
    ...(client === undefined ? [] : [client.caFile]),
    ...(login === undefined ? [] : authoritiesOf(login).map(({ file }) => file)),
  ];
  return [
    { file: config.file, secret: config.hasSecrets },
    ...secrets.map((file) => ({ file, secret: true })),
    ...others.map((file) => ({ file })),
  ];
}

/** Warns of files, and of the folders they are in, that others can change; and of secrets that others can read. */
export async function checkPermissions(files: readonly TrustedFile[]): Promise<Finding[]> {
  // This platform has no users and modes of this kind.
  if (process.getuid === undefined) return [];
  const targets = new Map<string, boolean>();
  for (const { file, secret = false } of files) {
    const target = await realpath(file).catch(() => undefined);
    // A file that can't be read is reported by the check that reads it.
    if (target !== undefined) targets.set(target, secret || targets.get(target) === true);
  }
  const folders = new Set([...targets.keys()].map((target) => dirname(target)));
  const findings = await Promise.all([
    ...[...targets].map(async ([file, secret]) =>
      checkPath(file, 'file', {
        r: secret && !(await isCertificate(file)) && 'read the secret in it',
        w: 'change it',
      }),
    ),
    ...[...folders].map((folder) => checkPath(folder, 'folder', { r: false, w: 'replace the files in it' })),
  ]);
  return findings.flat();
}

/** Whether a file has a certificate in the place of a key, which is not a secret. The check that reads the file reports it. */
async function isCertificate(file: string): Promise<boolean> {
  const text = await readBytes(file, tlsFileLimit).then(String, () => '');
  return text.includes('-----BEGIN CERTIFICATE-----') && !text.includes('PRIVATE KEY-----');
}

const called = { g: 'its group', o: 'everyone on this machine' } as const;

/** Checks the mode of one path. @param effects what others can do who may read or write it; false: nothing harmful */
async function checkPath(
  path: string,
  kind: 'file' | 'folder',
  effects: Readonly<Record<Access, string | false>>,
): Promise<Finding[]> {
  const found = await stat(path).catch(() => undefined);
  // A folder in the place of a file is reported by the check that reads it.
  if (found === undefined || found.isDirectory() !== (kind === 'folder')) return [];
  // In a folder with the sticky bit only the owner can replace a file: `/tmp`, volumes of Kubernetes.
  if (kind === 'folder' && (found.mode & 0o1000) !== 0) return [];
  const problems = (['r', 'w'] as const).flatMap((access) => {
    const effect = effects[access];
    if (effect === false) return [];
    return othersWith(access, found).map((who) => ({ right: `${called[who]} can ${effect}`, fix: `${who}-${access}` }));
  });
  if (problems.length === 0) return [];
  const rights = problems.map(({ right }) => right).join(', ');
  const octal = (found.mode & 0o7777).toString(8).padStart(4, '0');
  const fixes = problems.map(({ fix }) => fix).join(',');
  const detail = `${path}: ${rights} (mode ${octal}): run chmod ${fixes} ${shellQuoted(path)}`;
  return [{ check: 'permissions', result: 'warning', detail }];
}

type Access = 'r' | 'w';

/**
 * Returns who has access besides the owner. A group with the owner's number is the owner's own, so it does not count. Nor does
 * a group that may read a file of root: that is how root gives it to the gateway's account (systemd, `fsGroup` of Kubernetes).
 */
export function othersWith(access: Access, { mode, uid, gid }: Pick<Stats, 'mode' | 'uid' | 'gid'>): ('g' | 'o')[] {
  const [group, others] = access === 'r' ? [0o040, 0o004] : [0o020, 0o002];
  const isOwnGroup = uid === gid || (uid === 0 && access === 'r');
  return [
    ...((mode & group) !== 0 && !isOwnGroup ? (['g'] as const) : []),
    ...((mode & others) !== 0 ? (['o'] as const) : []),
  ];
}
