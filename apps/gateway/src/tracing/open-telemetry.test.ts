import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { inSpan, type Tracer, useTracer } from './in-span.ts';
import { createOtelTracer } from './open-telemetry.ts';

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

/** Takes what is sent by OTLP over HTTP, as JSON. */
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
    spans: () => sent.flatMap((one) => one.resourceSpans.flatMap((of) => of.scopeSpans.flatMap(({ spans }) => spans))),
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
  Object.fromEntries((span?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]));

test('spans stand beneath each other as the work does, also over what is waited for', async () => {
  await using collector = await startCollector();
  const { close } = start(collector.endpoint);
  await inSpan('outer', { kind: 'server' }, async (span) => {
    span.set({ word: 'yes', count: 2, left: undefined });
    await new Promise(setImmediate);
    await Promise.all([inSpan('one', {}, async () => {}), inSpan('two', { kind: 'client' }, async () => {})]);
  });
  await inSpan('another', {}, async () => {});
  await close();
  const spans = new Map(collector.spans().map((span) => [span.name, span]));
  const [outer, one, two, another] = ['outer', 'one', 'two', 'another'].map((name) => spans.get(name));
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

test('the trace of the caller goes on, and its word on sampling is kept', async () => {
  await using collector = await startCollector();
  const { close } = start(collector.endpoint);
  const of = (id: string, flags: string) => ({ traceparent: `00-${id.repeat(32)}-${'b'.repeat(16)}-${flags}` });
  await inSpan('sampled', { headers: of('a', '01') }, async () => {});
  await inSpan('not sampled', { headers: of('c', '00') }, () => inSpan('nor beneath', {}, async () => {}));
  await inSpan('nonsense', { headers: { traceparent: 'x' } }, async () => {});
  await inSpan('two', { headers: { traceparent: ['a', 'b'] } }, async () => {});
  await close();
  const spans = collector.spans();
  expect(spans.map(({ name }) => name)).toEqual(['sampled', 'nonsense', 'two']);
  expect(spans[0]).toMatchObject({ traceId: 'a'.repeat(32), parentSpanId: 'b'.repeat(16) });
  expect(spans[1]?.parentSpanId ?? '').toBe('');
});

test('of traces that begin here, the ratio is sampled', async () => {
  await using collector = await startCollector();
  const { close } = start(collector.endpoint, 0);
  await inSpan('ours', {}, async () => {});
  await close();
  expect(collector.spans()).toEqual([]);
});

test('a failure is told by its kind, and never by its message', async () => {
  await using collector = await startCollector();
  const { close } = start(collector.endpoint);
  const secret = new TypeError('password=hunter2');
  await expect(inSpan('thrown', {}, () => Promise.reject(secret))).rejects.toBe(secret);
  await inSpan('told', {}, async (span) => span.fail('timeout'));
  await inSpan('both', {}, (span) => {
    span.fail('unavailable');
    return Promise.reject(secret);
  }).catch(() => {});
  await close();
  const failures = collector.spans().map((span) => [span.name, words(span)['error.type'], span.status]);
  expect(failures).toEqual([
    ['thrown', 'TypeError', { code: 2 }],
    ['told', 'timeout', { code: 2 }],
    ['both', 'unavailable', { code: 2 }],
  ]);
  expect(JSON.stringify(collector.sent)).not.toContain('hunter2');
});

test('a collector that takes nothing is told of once, and costs the work nothing', async () => {
  await using collector = await startCollector();
  collector.refuse();
  const { close } = start(collector.endpoint);
  // More than fit into one message.
  for (let span = 0; span < 1_200; span++) await inSpan('lost', {}, async () => {});
  await close();
  expect(collector.sent.length).toBeGreaterThan(1);
  expect(lines).toEqual(['spans are lost: the collector does not take them']);
});

test('without a tracer the work is done, and nothing else', async () => {
  const result = await inSpan('any', {}, async (span) => {
    span.set({ any: 1 });
    span.fail('any');
    return 7;
  });
  expect(result).toBe(7);
});
