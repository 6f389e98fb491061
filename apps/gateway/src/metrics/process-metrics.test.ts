import { Registry } from 'prom-client';
import { beforeEach, describe, expect, test } from 'vitest';
import type { TlsMaterial } from '../server/tls.ts';
import { createCertificateMetrics, createReloadMetrics, type ReloadMetrics } from './process-metrics.ts';
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

  test('have the end of each in force; of several client CAs the last', async () => {
    const registry = new Registry();
    const { certificates } = createCertificateMetrics(registry);
    certificates([ending('server', 100), ending('client-ca', 50), ending('client-ca', 300), ending('client-ca', 200)]);
    expect(await seriesOf(registry)).toEqual({ [series('server')]: 100, [series('client-ca')]: 300 });
  });

  test('that are not in force any more have no series', async () => {
    const registry = new Registry();
    const { certificates } = createCertificateMetrics(registry);
    certificates([ending('server', 100), ending('client-ca', 50)]);
    expect(Object.keys(await seriesOf(registry))).toHaveLength(2);
    certificates([ending('server', 90)]);
    expect(await seriesOf(registry)).toEqual({ [series('server')]: 90 });
  });
});

describe('reloads', () => {
  let registry: Registry;
  let metrics: ReloadMetrics;

  beforeEach(() => {
    registry = new Registry();
    metrics = createReloadMetrics(registry);
  });

  const inForce = async () => (await seriesOf(registry)).sallyport_config_last_reload_successful;
  const file = (name: string) => ({ file: name });

  test('begin at 0, with the config of the start in force', async () => {
    expect(await seriesOf(registry)).toEqual({
      'sallyport_config_reloads_total{result="success"}': 0,
      'sallyport_config_reloads_total{result="failure"}': 0,
      sallyport_config_last_reload_successful: 1,
    });
  });

  test('are counted by result, whatever was read', async () => {
    metrics.reloaded('config', true);
    metrics.reloaded('certificates', false);
    metrics.reloaded(file('tokens.yaml'), false);
    expect(await seriesOf(registry)).toMatchObject({
      'sallyport_config_reloads_total{result="success"}': 1,
      'sallyport_config_reloads_total{result="failure"}': 2,
    });
  });

  test.each(['config', 'certificates', file('tokens.yaml')] as const)(
    'of %s: what was refused is not in force until the same source is accepted',
    async (source) => {
      const others = (['config', 'certificates', file('tokens.yaml')] as const).filter(
        (other) => other !== 'config' && other !== source,
      );
      metrics.reloaded(source, false);
      expect(await inForce()).toBe(0);
      for (const other of others) metrics.reloaded(other, true);
      expect(await inForce()).toBe(0);
      metrics.reloaded(source, true);
      expect(await inForce()).toBe(1);
    },
  );

  test('of the config: when it is accepted, everything that it names is in force', async () => {
    metrics.reloaded('certificates', false);
    metrics.reloaded(file('tokens.yaml'), false);
    metrics.reloaded('config', true);
    expect(await inForce()).toBe(1);
  });
});
