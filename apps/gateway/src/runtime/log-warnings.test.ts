import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import type { GatewayConfig } from '../config/types.ts';
import { createCertificateWarnings, logConfigWarnings } from './log-warnings.ts';

test('each config warning is logged, and those that check.acknowledge covers are counted', () => {
  const lines: object[] = [];
  const logger = pino({}, { write: (line) => lines.push(JSON.parse(line)) });
  const warnings = ['a', 'b', 'c'].map((key) => ({
    file: 'gateway.yaml',
    path: `authenticators[0].options.${key}`,
    message: 'a password is written here',
  }));
  const acknowledge = (warning: 'config' | 'plugin', about: string) => {
    return {
      warning,
      about,
      reason: 'a lab',
      problem: () => ({ file: '', path: '', message: '' }),
    };
  };
  const acknowledgements: GatewayConfig['acknowledgements'] = [
    acknowledge('config', 'options.a'),
    acknowledge('config', 'options.b'),
    acknowledge('plugin', 'options.c'),
  ];
  logConfigWarnings({ warnings, acknowledgements }, logger);
  expect(lines).toEqual([
    expect.objectContaining({ msg: 'config warning', problem: warnings[2] }),
    expect.objectContaining({ msg: 'config warnings acknowledged', count: 2 }),
  ]);
  lines.length = 0;
  logConfigWarnings({ warnings, acknowledgements: [] }, logger);
  expect(lines).toHaveLength(3);
});

afterEach(() => {
  vi.useRealTimers();
});

test('a certificate is reported each day in its last 14 days, and no longer when it is renewed', () => {
  vi.useFakeTimers();
  const messages: string[] = [];
  const logger = pino({}, { write: (line) => messages.push(JSON.parse(line).msg) });
  const day = 24 * 60 * 60 * 1000;
  const materialFor = (days: number) => {
    const notAfter = new Date(Date.now() + days * day);
    const validity = { notBefore: new Date(Date.now() - day), notAfter };
    const names = { certificate: 'server', file: 'server.crt', subject: 'CN=gateway' } as const;
    const files = { cert: Buffer.of(), key: Buffer.of() };
    const certificates = [{ ...names, ...validity }];
    const server = { minVersion: 'TLSv1.3', ...files, certificates, warnings: [] } as const;
    return { server, login: undefined };
  };
  using certificateWarnings = createCertificateWarnings(logger);
  certificateWarnings.load(materialFor(16.5));
  vi.advanceTimersByTime(2 * day);
  expect(messages).toEqual([]);
  vi.advanceTimersByTime(3 * day);
  expect(messages).toHaveLength(3);
  expect(messages[2]).toMatch(
    /^the server certificate "CN=gateway" in server.crt expires at .*: renew it$/,
  );
  certificateWarnings.load(materialFor(90));
  vi.advanceTimersByTime(60 * day);
  expect(messages).toHaveLength(3);
});
