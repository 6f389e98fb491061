import type { X509Certificate } from 'node:crypto';

/**
 * kube-apiserver (Go) takes no host name from the subject: it always refuses a certificate without an alternative name.
 *
 * @throws Error for a server's certificate without an alternative name of a host
 */
export function requireHostName([server]: X509Certificate[], file: string): void {
  if (server === undefined || /(^|, )(DNS|IP Address):/.test(server.subjectAltName ?? '')) return;
  throw new Error(
    `server.tls.certFile: the certificate "${subjectOf(server)}" in ${file} has no subject alternative name of a host, and ` +
      'kube-apiserver would refuse it: issue it anew with subjectAltName=DNS:… or IP:…',
  );
}

/**
 * OpenSSL accepts only clients whose chain ends in a self-issued certificate of the file.
 *
 * @throws Error when the file has none: no client could get in
 */
export function requireRoot(certificates: readonly X509Certificate[], file: string): void {
  if (certificates.some(isRoot)) return;
  const [intermediate] = certificates.filter(({ ca }) => ca);
  const [first] = certificates;
  if (first === undefined) return;
  const named = `server.tls.clientCAFile: "${subjectOf(intermediate ?? first)}" in ${file}`;
  if (intermediate === undefined) {
    throw new Error(
      `${named} is no CA certificate, so no client would be accepted: put the CA there that signs the client certificates`,
    );
  }
  throw new Error(
    `${named} is an intermediate CA, so no client would be accepted without its root: add the root certificate to the file`,
  );
}

function isRoot({ subject, issuer }: X509Certificate): boolean {
  return subject === issuer;
}

/** Warns of a file that holds the certificate of one client, or the wrong one. */
export function warnOfAuthority(certificates: readonly X509Certificate[], file: string): string[] {
  const [first] = certificates;
  if (first === undefined || certificates.some(({ ca }) => ca)) return [];
  return [
    `server.tls.clientCAFile: "${subjectOf(first)}" in ${file} is not marked as a CA certificate (basicConstraints CA:TRUE): ` +
      'it lets in at most a client that presents it itself',
  ];
}

/** The subject in one line. */
export function subjectOf(certificate: X509Certificate): string {
  return certificate.subject.replaceAll('\n', ', ');
}
