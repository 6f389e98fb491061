import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { ExportResultCode } from '@opentelemetry/core';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { afterEach, expect, test } from 'vitest';
import { inSpan, type Tracer, useTracer } from '../../base/tracing/in-span.ts';
import { createOtelTracer, withFailureLog } from './open-telemetry.ts';

interface SentSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly attributes: readonly { key: string; value: Record<string, unknown> }[];
  readonly status: { readonly code?: number; readonly message?: string };
}

interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: SentSpan['attributes'] };
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[];
  }[];
}

/** Accepts OTLP over HTTP, as JSON. */
async function startCollector() {
  const sent: Sent[] = [];
  let status = 200;
  const server = createServer(async (request, response) => {
    sent.push((await json(request)) as Sent);
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    sent,
    spans: () =>
      sent.flatMap((one) =>
        one.resourceSpans.flatMap((of) => of.scopeSpans.flatMap(({ spans }) => spans)),
      ),
    refuse: () => {
      status = 400;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const lines: string[] = [];
const logger = {
  warn: (_: object, message: string) => void lines.push(message),
  info: (_: object, message: string) => void lines.push(message),
};

let tracer: Tracer | undefined;
function start(endpoint: string, sampleRatio = 1): Tracer {
  tracer = createOtelTracer({ endpoint, sampleRatio }, '1.2.3', logger);
  useTracer(tracer);
  return tracer;
}
afterEach(async () => {
  useTracer(undefined);
  await tracer?.close();
  tracer = undefined;
  lines.length = 0;
});

const words = (span: SentSpan | undefined) =>
  Object.fromEntries(
    (span?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]),
  );

test('spans have the parents that their work has, also across await', async () => {
  await using collector = await startCollector();
  const { close } = start(collector.endpoint);
  await inSpan('outer', { kind: 'server' }, async (span) => {
    span.set({ word: 'yes', count: 2, left: undefined });
    await new Promise(setImmediate);
    await Promise.all([
      inSpan('one', {}, async () => {}),
      inSpan('two', { kind: 'client' }, async () => {}),
    ]);
  });
  await inSpan('another', {}, async () => {});
  await close();
  const spans = new Map(collector.spans().map((span) => [span.name, span]));
  const [outer, one, two, another] = ['outer', 'one', 'two', 'another'].map((name) =>
    spans.get(name),
  );
  expect([one?.parentSpanId, two?.parentSpanId]).toEqual([outer?.spanId, outer?.spanId]);
  expect(another?.traceId).not.toBe(outer?.traceId);
  expect(words(outer)).toEqual({ word: 'yes', count: 2 });
  expect([outer?.kind, one?.kind, two?.kind]).toEqual([2, 1, 3]);
  expect(collector.sent[0]?.resourceSpans[0]?.resource.attributes).toEqual(
    expect.arrayContaining([
      { key: 'service.name', value: { stringValue: 'sallyport' } },
      { key: 'service.version', value: { stringValue: '1.2.3' } },
    ]),
  );
});

test('a span joins the trace of the caller, and follows its sampling decision', async () => {
  await using collector = await startCollector();
  const { close } = start(collector.endpoint);
  const of = (id: string, flags: string) => ({
    traceparent: `00-${id.repeat(32)}-${'b'.repeat(16)}-${flags}`,
  });
  await inSpan('sampled', { headers: of('a', '01') }, async () => {});
  await inSpan('not sampled', { headers: of('c', '00') }, () =>
    inSpan('nor beneath', {}, async () => {}),
  );
  await inSpan('nonsense', { headers: { traceparent: 'x' } }, async () => {});
  await inSpan('two', { headers: { traceparent: ['a', 'b'] } }, async () => {});
  await close();
  const spans = collector.spans();
  expect(spans.map(({ name }) => name)).toEqual(['sampled', 'nonsense', 'two']);
  expect(spans[0]).toMatchObject({ traceId: 'a'.repeat(32), parentSpanId: 'b'.repeat(16) });
  expect(spans[1]?.parentSpanId ?? '').toBe('');
});

test('samples the ratio of the traces that begin here', async () => {
  await using collector = await startCollector();
  const { close } = start(collector.endpoint, 0);
  await inSpan('ours', {}, async () => {});
  await close();
  expect(collector.spans()).toEqual([]);
});

test('a failure has its type, and never its message', async () => {
  await using collector = await startCollector();
  const { close } = start(collector.endpoint);
  const secret = new TypeError('password=hunter2');
  await expect(inSpan('thrown', {}, () => Promise.reject(secret))).rejects.toBe(secret);
  await inSpan('typed', {}, async (span) => span.fail('timeout'));
  await inSpan('both', {}, (span) => {
    span.fail('unavailable');
    return Promise.reject(secret);
  }).catch(() => {});
  await close();
  const failures = collector
    .spans()
    .map((span) => [span.name, words(span)['error.type'], span.status]);
  expect(failures).toEqual([
    ['thrown', 'TypeError', { code: 2 }],
    ['typed', 'timeout', { code: 2 }],
    ['both', 'unavailable', { code: 2 }],
  ]);
  expect(JSON.stringify(collector.sent)).not.toContain('hunter2');
});

test('a collector that accepts nothing is logged once, and does not disturb the work', async () => {
  await using collector = await startCollector();
  collector.refuse();
  const { close } = start(collector.endpoint);
  // These are more spans than fit into one request.
  for (let span = 0; span < 1_200; span++) await inSpan('lost', {}, async () => {});
  await close();
  expect(collector.sent.length).toBeGreaterThan(1);
  expect(lines).toEqual(['spans are lost: the collector does not accept them']);
});

test('without a tracer only the work is done', async () => {
  const result = await inSpan('any', {}, async (span) => {
    span.set({ any: 1 });
    span.fail('any');
    return 7;
  });
  expect(result).toBe(7);
});

test('logs once that spans are lost and once that they are accepted again, without the query of the endpoint', () => {
  const logged: unknown[] = [];
  const log = (level: string) => (fields: object) => void logged.push([level, fields]);
  let code = ExportResultCode.FAILED;
  const exporter = {
    export: (_spans, done) => done({ code }),
    shutdown: async () => {},
  } as SpanExporter;
  const watched = withFailureLog(exporter, 'http://otel:4318/v1/traces?api-key=abc', {
    warn: log('warn'),
    info: log('info'),
  });
  const results: number[] = [];
  const send = (times: number) => {
    for (let time = 0; time < times; time++)
      watched.export([], (result) => results.push(result.code));
  };
  send(3);
  code = ExportResultCode.SUCCESS;
  send(2);
  const fields = { endpoint: 'http://otel:4318/v1/traces' };
  expect(logged).toEqual([
    ['warn', fields],
    ['info', fields],
  ]);
  expect(results).toEqual([1, 1, 1, 0, 0]);
});
