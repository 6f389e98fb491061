import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { isLoopback } from '../config/listen.ts';
import { causeOf } from '../config/problems.ts';
import type { ServerConfig, TlsConfig } from '../config/types.ts';
import { authority } from '../server/listen.ts';
import { readTlsMaterial, type TlsMaterial } from '../server/tls.ts';
import { type Finding, fault } from './finding.ts';

/** Reads the files of `server.tls` as `serve` does, and compares the certificate with the address. */
export async function checkCertificates({ tls, listen }: Pick<ServerConfig, 'tls' | 'listen'>): Promise<Finding[]> {
  if (tls === undefined) {
    return [{ check: 'TLS', result: 'ok', detail: 'none: plain HTTP on loopback' }];
  }
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
    return causes.map((cause) => fault('TLS', causeOf(cause)));
  }
}

/** Lists the names: the config does not have the one that kube-apiserver calls, so the operator compares them. */
function describeCertificates({ certificates, cert }: Pick<TlsMaterial, 'certificates' | 'cert'>): Finding[] {
  return certificates.map(({ certificate, subject, notAfter }): Finding => {
    const names =
      certificate === 'server'
        ? `, for ${namesOf(cert)}: the server in kube-apiserver's webhook kubeconfig must be one of these`
        : '';
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

function isFor(certificate: X509Certificate, host: string): boolean {
  const found = isIP(host) === 0 ? certificate.checkHost(host, { subject: 'never' }) : certificate.checkIP(host);
  return found !== undefined;
}

/** As OpenSSL writes them, `DNS:a, IP Address:192.0.2.1`. */
function namesOf(cert: Buffer): string {
  return new X509Certificate(cert).subjectAltName ?? '';
}

/** The files of `server.tls`, and which of them holds a secret. */
export function tlsFilesOf(tls: TlsConfig | undefined): { readonly file: string; readonly secret: boolean }[] {
  if (tls === undefined) return [];
  const { certFile, keyFile, client } = tls;
  return [
    { file: certFile, secret: false },
    { file: keyFile, secret: true },
    ...(client === undefined ? [] : [{ file: client.caFile, secret: false }]),
  ];
}
