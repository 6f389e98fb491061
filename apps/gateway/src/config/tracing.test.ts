import { expect, test } from 'vitest';
import { folderWithProbe, yaml } from './testing/config-folder.ts';

test('tracing is left out, or where a collector is and how many traces it gets', async () => {
  await using folder = await folderWithProbe();
  const tracingOf = async (more: string) => (await folder.load(yaml({ more }))).tracing;
  expect(await tracingOf('')).toBeUndefined();
  const endpoint = 'http://otel-collector:4318/v1/traces';
  expect(await tracingOf(`tracing: { endpoint: "${endpoint}" }`)).toEqual({ endpoint, sampleRatio: 0.1 });
});

test.each([
  ['tracing: {}', 'tracing.endpoint: must be a URL, such as'],
  ['tracing: { endpoint: otel-collector:4318 }', 'tracing.endpoint: must be a URL'],
  ['tracing: { endpoint: "http://key@otel:4318/v1/traces" }', 'tracing.endpoint: must have no name or password in it'],
  ['tracing: { endpoint: "http://:key@otel:4318/v1/traces" }', 'tracing.endpoint: must have no name or password in it'],
  ['tracing: { endpoint: "http://otel:4318", sampleRatio: 2 }', 'tracing.sampleRatio: must be a number from 0 to 1'],
])('%s is refused', async (more, expected) => {
  await using folder = await folderWithProbe();
  expect(await folder.problems(yaml({ more }))).toEqual([expect.stringContaining(expected)]);
});
