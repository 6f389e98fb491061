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
  [
    'audit: { output: stderr }',
    'audit.output: must be stdout or a file: standard error is for the log',
  ],
  ['audit: {}', 'audit.output: is missing'],
  ['audit: { output: "" }', 'audit.output: '],
  ['audit: { output: stdout, file: x }', 'audit.file: unknown key'],
  ['provenance: {}', 'provenance.keyPrefix: is missing'],
  [
    'provenance: { keyPrefix: sallyport }',
    'provenance.keyPrefix: must be a DNS domain of yours in lowercase',
  ],
  [
    'provenance: { keyPrefix: Sallyport.example.com }',
    'provenance.keyPrefix: must be a DNS domain',
  ],
  [
    'provenance: { keyPrefix: sallyport.example.com/x }',
    'provenance.keyPrefix: must be a DNS domain',
  ],
  [
    'provenance: { keyPrefix: authentication.kubernetes.io }',
    'provenance.keyPrefix: must not be in k8s.io',
  ],
  ['provenance: { keyPrefix: k8s.io }', 'provenance.keyPrefix: must not be in k8s.io'],
  ['tracing: {}', 'tracing.endpoint: must be a URL, such as'],
  ['tracing: { endpoint: otel-collector:4318 }', 'tracing.endpoint: must be a URL'],
  [
    'tracing: { endpoint: "http://key@otel:4318/v1/traces" }',
    'tracing.endpoint: must have no name or password in it',
  ],
  [
    'tracing: { endpoint: "http://:key@otel:4318/v1/traces" }',
    'tracing.endpoint: must have no name or password in it',
  ],
  [
    'tracing: { endpoint: "http://otel:4318", sampleRatio: 2 }',
    'tracing.sampleRatio: must be a number from 0 to 1',
  ],
  [
    'lockout: { maxFailures: three }',
    'lockout.maxFailures: "three" is not a number: write one such as 3',
  ],
  [
    'lockout: { maxFailures: "5" }',
    'lockout.maxFailures: "5" is not a number: write 5, without quotes',
  ],
  ['lockout: { maxFailures: 1.5 }', 'lockout.maxFailures: must be a whole number, such as 3'],
  ['lockout: { maxFailures: [3] }', 'lockout.maxFailures: must be a number, such as 3'],
])('%s is refused', async (more, expected) => {
  expect(await problemsOf(yaml({ more }))).toEqual([expect.stringContaining(expected)]);
});
