import { Counter, Gauge, type Registry } from 'prom-client';
import { manifest } from '../package-files.ts';
import type { TlsMaterial } from '../server/tls.ts';

export function createBuildInfo(registry: Registry): void {
  const { node, openssl } = process.versions;
  new Gauge({
    name: 'sallyport_build_info',
    help: 'Always 1. The labels are the version of the gateway, of Node.js and of OpenSSL.',
    labelNames: ['version', 'node', 'openssl'],
    registers: [registry],
  }).set({ version: manifest.version, node, openssl: openssl ?? 'none' }, 1);
}

type Certificates = TlsMaterial['certificates'];

export interface CertificateMetrics {
  /** Replaces the certificates in force. */
  certificates(inForce: Certificates): void;
}

/**
 * Exports the latest end of several client CAs, since clients are trusted until then. During a change of CA the old one,
 * whose end is near, is beside the new one, and is no reason to page anyone.
 */
export function createCertificateMetrics(registry: Registry): CertificateMetrics {
  let certificates: Certificates = [];
  new Gauge({
    name: 'sallyport_certificate_expiry_timestamp_seconds',
    help: 'When the certificate in force expires, in seconds since 1970; of several client CAs, the last one to expire. When it has passed, no client can connect to this gateway. Absent without TLS.',
    labelNames: ['certificate'],
    registers: [registry],
    collect() {
      this.reset();
      for (const certificate of ['server', 'client-ca', 'login'] as const) {
        const ends = certificates.filter((one) => one.certificate === certificate).map((one) => one.notAfter.getTime());
        if (ends.length > 0) this.set({ certificate }, Math.max(...ends) / 1000);
      }
    },
  });
  return {
    certificates(inForce) {
      certificates = inForce;
    },
  };
}

/** What is reloaded: the config and all that it names, the certificates alone, or one file of a plugin. */
export type ReloadSource = 'config' | 'certificates' | { readonly file: string };

export interface ReloadMetrics {
  /** @param accepted whether it is in force; otherwise what was in force before still is */
  reloaded(source: ReloadSource, accepted: boolean): void;
}

/**
 * Remembers each refused source by itself: when certificates are renewed, a refused edit of the config is still not in
 * force. An accepted config ends all of them, because it was built with everything that it names.
 */
export function createReloadMetrics(registry: Registry): ReloadMetrics {
  const registers = [registry];
  const refused = new Set<ReloadSource>();
  const reloads = new Counter({
    name: 'sallyport_config_reloads_total',
    help: 'Reloads of the config, of its certificates and of files of its authenticators, each counted by itself. A rise of failure means that a file on disk was refused, and that what was in force before still is.',
    labelNames: ['result'],
    registers,
  });
  for (const result of ['success', 'failure']) reloads.inc({ result }, 0);
  new Gauge({
    name: 'sallyport_config_last_reload_successful',
    help: '1 when the files on disk are in force, as far as they were read. 0 when the last reload of the config, of its certificates or of a file of an authenticator was refused; then a restart would most likely fail too.',
    registers,
    collect() {
      this.set(refused.size === 0 ? 1 : 0);
    },
  });
  return {
    reloaded(source, accepted) {
      reloads.inc({ result: accepted ? 'success' : 'failure' });
      if (!accepted) refused.add(source);
      else if (source === 'config') refused.clear();
      else refused.delete(source);
    },
  };
}

/** @returns counts a dropped line of the audit trail */
export function createAuditMetrics(registry: Registry): () => void {
  const dropped = new Counter({
    name: 'sallyport_audit_lines_dropped_total',
    help: 'Lines of the audit trail that were dropped because the output is full, fails or is too slow. Any rise means decisions without an audit line.',
    registers: [registry],
  });
  return () => dropped.inc();
}
