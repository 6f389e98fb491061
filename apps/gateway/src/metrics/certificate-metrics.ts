import { Gauge, type Registry } from 'prom-client';
import type { TlsMaterial } from '../server/tls.ts';

type Certificates = TlsMaterial['certificates'];

/** What is told of the certificates in force. */
export interface CertificateMetrics {
  /** These are in force from now on. */
  certificates(inForce: Certificates): void;
}

/**
 * Of several client CAs the one that ends last is told: until then somebody is trusted. During a change of CA the old
 * one, whose end is near, stands beside the new one, and is no reason to wake anybody.
 */
export function createCertificateMetrics(registry: Registry): CertificateMetrics {
  let certificates: Certificates = [];
  new Gauge({
    name: 'sallyport_certificate_expiry_timestamp_seconds',
    help: 'When the certificate in force ends, in seconds since 1970; of several client CAs the one that ends last. Near or past: soon nobody talks to this gateway any more. Absent without TLS.',
    labelNames: ['certificate'],
    registers: [registry],
    collect() {
      this.reset();
      for (const certificate of ['server', 'client-ca'] as const) {
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
