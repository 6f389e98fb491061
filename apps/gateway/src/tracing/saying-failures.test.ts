import { ExportResultCode } from '@opentelemetry/core';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { expect, test } from 'vitest';
import { sayingFailures } from './saying-failures.ts';

test('says once that spans are lost and once that they are taken again, and nothing of what may be a key', () => {
  const said: unknown[] = [];
  const log = (level: string) => (fields: object) => void said.push([level, fields]);
  let code = ExportResultCode.FAILED;
  const exporter = { export: (_spans, done) => done({ code }), shutdown: async () => {} } as SpanExporter;
  const saying = sayingFailures(exporter, 'http://otel:4318/v1/traces?api-key=abc', {
    warn: log('warn'),
    info: log('info'),
  });
  const results: number[] = [];
  const send = (times: number) => {
    for (let time = 0; time < times; time++) saying.export([], (result) => results.push(result.code));
  };
  send(3);
  code = ExportResultCode.SUCCESS;
  send(2);
  const fields = { endpoint: 'http://otel:4318/v1/traces' };
  expect(said).toEqual([
    ['warn', fields],
    ['info', fields],
  ]);
  expect(results).toEqual([1, 1, 1, 0, 0]);
});
