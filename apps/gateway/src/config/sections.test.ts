import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderWithProbe, problemsOf, yaml } from './testing/config-folder.ts';

test('audit is left out, standard output, or a file from the folder of the config on', async () => {
  await using folder = await folderWithProbe();
  const auditOf = async (more: string) => (await folder.load(yaml({ more }))).audit;
  expect(await auditOf('')).toBeUndefined();
  expect(await auditOf('audit: { output: stdout }')).toEqual({ output: 'stdout' });
  expect(await auditOf('audit: { output: audit/audit.log }')).toEqual({
    output: { file: join(folder.path, 'audit/audit.log') },
  });
  expect(await auditOf('audit: { output: /var/log/audit.log }')).toEqual({
    output: { file: '/var/log/audit.log' },
  });
});

test('provenance is left out, or a domain', async () => {
  await using folder = await folderWithProbe();
  const provenanceOf = async (more: string) => (await folder.load(yaml({ more }))).provenance;
  expect(await provenanceOf('')).toBeUndefined();
  const keyPrefix = 'sallyport.example.com';
  expect(await provenanceOf(`provenance: { keyPrefix: ${keyPrefix} }`)).toEqual({ keyPrefix });
});

test('tracing is left out, or where a collector is and how many traces it gets', async () => {
  await using folder = await folderWithProbe();
  const tracingOf = async (more: string) => (await folder.load(yaml({ more }))).tracing;
  expect(await tracingOf('')).toBeUndefined();
  const endpoint = 'http://otel-collector:4318/v1/traces';
  expect(await tracingOf(`tracing: { endpoint: "${endpoint}" }`)).toEqual({
    endpoint,
    sampleRatio: 0.1,
  });
});

test.each([
  {
    more: 'audit: { output: "audit-%Y-%m-%d.log" }',
    expected: 'audit.output: must be stdout or the path of one file, without dates',
  },
  {
    more: 'audit: { output: stderr }',
    expected:
      'audit.output: must be stdout or the path of one file, without dates, which a log collector can read',
  },
  {
    more: 'audit: { output: syslog }',
    expected: 'audit.output: must be stdout or the path of one file',
  },
  {
    more: 'audit: { output: "https://siem.example.com" }',
    expected: 'audit.output: must be stdout or the path of one file',
  },
  { more: 'audit: {}', expected: 'audit.output: is missing' },
  { more: 'audit: { output: "" }', expected: 'audit.output: ' },
  { more: 'audit: { output: stdout, file: x }', expected: 'audit.file: unknown key' },
  { more: 'provenance: {}', expected: 'provenance.keyPrefix: is missing' },
  {
    more: 'provenance: { keyPrefix: sallyport }',
    expected: 'provenance.keyPrefix: must be a DNS domain of yours in lowercase',
  },
  {
    more: 'provenance: { keyPrefix: Sallyport.example.com }',
    expected: 'provenance.keyPrefix: must be a DNS domain',
  },
  {
    more: 'provenance: { keyPrefix: sallyport.example.com/x }',
    expected: 'provenance.keyPrefix: must be a DNS domain',
  },
  {
    more: 'provenance: { keyPrefix: authentication.kubernetes.io }',
    expected: 'provenance.keyPrefix: must not be in k8s.io',
  },
  {
    more: 'provenance: { keyPrefix: k8s.io }',
    expected: 'provenance.keyPrefix: must not be in k8s.io',
  },
  { more: 'tracing: {}', expected: 'tracing.endpoint: must be a URL, such as' },
  {
    more: 'tracing: { endpoint: otel-collector:4318 }',
    expected: 'tracing.endpoint: must be a URL',
  },
  {
    more: 'tracing: { endpoint: "http://key@otel:4318/v1/traces" }',
    expected: 'tracing.endpoint: must have no name or password in it',
  },
  {
    more: 'tracing: { endpoint: "http://:key@otel:4318/v1/traces" }',
    expected: 'tracing.endpoint: must have no name or password in it',
  },
  {
    more: 'tracing: { endpoint: "http://otel:4318", sampleRatio: 2 }',
    expected: 'tracing.sampleRatio: must be a number from 0 to 1',
  },
  {
    more: 'lockout: { maxFailures: three }',
    expected: 'lockout.maxFailures: "three" is not a number: write one such as 3',
  },
  {
    more: 'lockout: { maxFailures: "5" }',
    expected: 'lockout.maxFailures: "5" is not a number: write 5, without quotes',
  },
  {
    more: 'lockout: { maxFailures: 1.5 }',
    expected: 'lockout.maxFailures: must be a whole number, such as 3',
  },
  {
    more: 'lockout: { maxFailures: [3] }',
    expected: 'lockout.maxFailures: must be a number, such as 3',
  },
])('$more is refused', async ({ more, expected }) => {
  expect(await problemsOf(yaml({ more }))).toEqual([expect.stringContaining(expected)]);
});
