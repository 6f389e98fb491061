import { X509Certificate } from 'node:crypto';
import { realpath, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname } from 'node:path';
import { isLoopback } from '../config/listen.ts';
import { causeOf } from '../config/problems.ts';
import type { ServerConfig, TlsConfig } from '../config/types.ts';
import { authority } from '../server/http-server.ts';
import { readTlsMaterial, type TlsMaterial } from '../server/tls.ts';
import { shellQuoted } from './command-line.ts';
import type { Finding } from './finding.ts';

/** Reads the files of `server.tls` as `serve` does, and compares the certificate with the address. */
export async function checkCertificates({ tls, listen }: Pick<ServerConfig, 'tls' | 'listen'>): Promise<Finding[]> {
  if (tls === undefined) return [{ check: 'TLS', result: 'ok', detail: 'none: plain HTTP on loopback' }];
  try {
    const material = await readTlsMaterial(tls);
    return [
      ...describeCertificates(material),
      ...[...material.warnings, ...judgeAddress(material, listen)].map(
        (detail): Finding => ({ check: 'TLS', result: 'warning', detail }),
      ),
    ];
  } catch (error) {
    const causes: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
    return causes.map((cause) => ({ check: 'TLS', result: 'fault', detail: causeOf(cause) }));
  }
}

const compared = ": the server in kube-apiserver's webhook kubeconfig must be one of these";

/**
 * Lists the names: the config does not have the one that kube-apiserver calls, so the operator compares them.
 *
 * @param advice after the names
 */
export function describeCertificates(
  { certificates, cert }: Pick<TlsMaterial, 'certificates' | 'cert'>,
  advice: string = compared,
): Finding[] {
  return certificates.map(({ certificate, subject, notAfter }): Finding => {
    const names = certificate === 'client-ca' ? '' : `, for ${namesOf(cert)}${advice}`;
    return {
      check: `${certificate} certificate`,
      result: 'ok',
      detail: `${subject}, until ${notAfter.toISOString()}${names}`,
    };
  });
}

function judgeAddress({ cert }: Pick<TlsMaterial, 'cert'>, { host, port }: ServerConfig['listen']): string[] {
  const certificate = new X509Certificate(cert);
  const hosts = isLoopback(host) ? ['127.0.0.1', '::1', 'localhost'] : [host];
  const isEvery = host === '::' || host === '0.0.0.0';
  if (isEvery || hosts.some((each) => isFor(certificate, each))) return [];
  return [
    `the server certificate is not for ${host}, where server.listen is: kube-apiserver would refuse it at ` +
      `https://${authority(host, port)}. Issue it anew with that name too, or call the gateway by ${namesOf(cert)}`,
  ];
}

export function isFor(certificate: X509Certificate, host: string): boolean {
  const found = isIP(host) === 0 ? certificate.checkHost(host, { subject: 'never' }) : certificate.checkIP(host);
  return found !== undefined;
}

/** Returns the names as OpenSSL writes them: `DNS:a, IP Address:192.0.2.1`. */
function namesOf(cert: Buffer): string {
  return new X509Certificate(cert).subjectAltName ?? '';
}

/** The files of `server.tls`, and which of them holds a secret. */
export function tlsFilesOf(tls: TlsConfig | undefined): TrustedFile[] {
  if (tls === undefined) return [];
  const { certFile, keyFile, client } = tls;
  return [
    { file: certFile, secret: false },
    { file: keyFile, secret: true },
    ...(client === undefined ? [] : [{ file: client.caFile, secret: false }]),
  ];
}

/** A file that decides who gets into the cluster. */
export interface TrustedFile {
  /** Absolute. */
  readonly file: string;
  /** It holds a key, a password or a token. */
  readonly secret: boolean;
}

/** Warns of files, and of the folders they are in, that others can change; and of secrets that others can read. */
export async function checkPermissions(files: readonly TrustedFile[]): Promise<Finding[]> {
  // This platform has no users and modes of this kind.
  if (process.getuid === undefined) return [];
  const targets = new Map<string, boolean>();
  for (const { file, secret } of files) {
    const target = await realpath(file).catch(() => undefined);
    // A file that can't be read is reported by the check that reads it.
    if (target !== undefined) targets.set(target, secret || targets.get(target) === true);
  }
  const folders = new Set([...targets.keys()].map((target) => dirname(target)));
  const findings = await Promise.all([
    ...[...targets].map(([file, secret]) => judge(file, { r: secret && 'read the secret in it', w: 'change it' })),
    ...[...folders].map((folder) => judge(folder, { r: false, w: 'replace the files in it' })),
  ]);
  return findings.flat();
}

const called = { g: 'its group', o: 'everyone on this machine' } as const;

/** @param effects what others can do who may read or write; false: no harm */
async function judge(path: string, effects: Readonly<Record<Access, string | false>>): Promise<Finding[]> {
  const found = await stat(path).catch(() => undefined);
  // In a folder with the sticky bit only the owner can replace a file: `/tmp`, volumes of Kubernetes.
  if (found === undefined || (found.isDirectory() && (found.mode & 0o1000) !== 0)) return [];
  const objections = (['r', 'w'] as const).flatMap((access) => {
    const effect = effects[access];
    if (effect === false) return [];
    return othersWith(access, found).map((who) => ({ right: `${called[who]} can ${effect}`, fix: `${who}-${access}` }));
  });
  if (objections.length === 0) return [];
  const rights = objections.map(({ right }) => right).join(', ');
  const octal = (found.mode & 0o7777).toString(8).padStart(4, '0');
  const fixes = objections.map(({ fix }) => fix).join(',');
  const detail = `${path}: ${rights} (mode ${octal}): run chmod ${fixes} ${shellQuoted(path)}`;
  return [{ check: 'permissions', result: 'warning', detail }];
}

/** The letters are those of chmod. */
type Access = 'r' | 'w';

interface Owned {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Returns who has access besides the owner. A group with the owner's number is the owner's own, so it does not count. Nor does
 * a group that may read a file of root: that is how root gives it to the gateway's account (systemd, `fsGroup` of Kubernetes).
 */
export function othersWith(access: Access, { mode, uid, gid }: Owned): ('g' | 'o')[] {
  const [group, others] = access === 'r' ? [0o040, 0o004] : [0o020, 0o002];
  const isOwnGroup = uid === gid || (uid === 0 && access === 'r');
  return [
    ...((mode & group) !== 0 && !isOwnGroup ? (['g'] as const) : []),
    ...((mode & others) !== 0 ? (['o'] as const) : []),
  ];
}
