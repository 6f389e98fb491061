import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import type { TlsMaterial } from '../server/tls.ts';
import { createCertificateMetrics } from './certificate-metrics.ts';
import { seriesOf } from './testing/series.ts';

type Certificate = TlsMaterial['certificates'][number];

function ending(certificate: Certificate['certificate'], seconds: number): Certificate {
  const [notBefore, notAfter] = [new Date(0), new Date(seconds * 1000)];
  return { certificate, file: 'a.crt', subject: 'CN=a', notBefore, notAfter };
}

const series = (certificate: string) => `sallyport_certificate_expiry_timestamp_seconds{certificate="${certificate}"}`;

describe('certificates', () => {
  test('have no series without TLS', async () => {
    const registry = new Registry();
    createCertificateMetrics(registry);
    expect(await seriesOf(registry)).toEqual({});
  });

  test('tell when each in force ends; of several client CAs the last', async () => {
    const registry = new Registry();
    const { certificates } = createCertificateMetrics(registry);
    certificates([ending('server', 100), ending('client-ca', 50), ending('client-ca', 300), ending('client-ca', 200)]);
    expect(await seriesOf(registry)).toEqual({ [series('server')]: 100, [series('client-ca')]: 300 });
  });

  test('that are not in force any more are not told', async () => {
    const registry = new Registry();
    const { certificates } = createCertificateMetrics(registry);
    certificates([ending('server', 100), ending('client-ca', 50)]);
    expect(Object.keys(await seriesOf(registry))).toHaveLength(2);
    certificates([ending('server', 90)]);
    expect(await seriesOf(registry)).toEqual({ [series('server')]: 90 });
  });
});
