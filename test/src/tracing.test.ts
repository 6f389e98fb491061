import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { startRedis } from '@sallyport/test-servers/redis';
import { randomToken } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import { temporaryFolder } from './testing/folder.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';

interface SentSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes: readonly {
    readonly key: string;
    readonly value: Readonly<Record<string, unknown>>;
  }[];
}

/** Starts a collector of what an OpenTelemetry exporter sends by OTLP over HTTP, as JSON. */
async function startCollector() {
  const spans: SentSpan[] = [];
  const server = createServer(async (request, response) => {
    const body = (await json(request)) as {
      resourceSpans: { scopeSpans: { spans: SentSpan[] }[] }[];
    };
    spans.push(
      ...body.resourceSpans.flatMap((one) => one.scopeSpans.flatMap((scope) => scope.spans)),
    );
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    spans,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const words = ({ attributes }: SentSpan): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

test('a review is a span in the trace of its caller, with children for authenticators, cache and Redis', async () => {
  await using collector = await startCollector();
  await using redis = await startRedis();
  const backend = await startScriptedBackend();
  const token = randomToken();
  backend.answer(token, authenticated('grace'), 'corp');
  const gateway = await startCacheGateway({
    authenticators: [backend.authenticator('first'), shared(backend, 'corp')],
    redis: { url: redis.url },
    keys: [sealingKey()],
  });
  // An edit turns it on.
  await gateway.reconfigure({
    more: { tracing: { endpoint: collector.endpoint, sampleRatio: 0 } },
  });
  const traceId = 'abcdef0123456789'.repeat(2);
  const ask = (flags: string) =>
    gateway.client.send({
      body: reviewBody(token, 'v1'),
      headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-${flags}` },
    });
  for (const flags of ['01', '00', '01'])
    expect((await ask(flags)).text).toContain('"authenticated":true');
  await gateway[Symbol.asyncDispose]();

  const reviews = collector.spans.filter(({ name }) => name === 'token review');
  expect(reviews.map(({ parentSpanId }) => parentSpanId)).toEqual([
    '00f067aa0ba902b7',
    '00f067aa0ba902b7',
  ]);
  expect(collector.spans.every((span) => span.traceId === traceId)).toBe(true);
  expect(reviews.map(words)).toEqual(
    new Array(2).fill(
      expect.objectContaining({ 'sallyport.outcome': 'authenticated', 'sallyport.version': 'v1' }),
    ),
  );
  const under = (parent: SentSpan | undefined) =>
    collector.spans.filter(({ parentSpanId }) => parentSpanId === parent?.spanId);
  const [, corp] = under(reviews[0]);
  expect(under(reviews[0]).map((span) => words(span)['sallyport.authenticator'])).toEqual([
    'first',
    'corp',
  ]);
  const [cache] = under(corp);
  expect(cache && words(cache)).toEqual({ 'sallyport.source': 'backend' });
  // These are a read, and the purpose of the call.
  expect(under(cache).map((span) => [span.name, words(span)['sallyport.redis.use']])).toEqual([
    ['redis', 'cache'],
    ['redis', 'cache'],
  ]);
  const [again] = under(under(reviews[1])[1]);
  expect(again && words(again)).toEqual({ 'sallyport.source': 'memory' });
  const all = JSON.stringify(collector.spans);
  for (const word of [token, 'grace']) expect(all).not.toContain(word);
});

test('without tracing in the config no code of it is loaded', async () => {
  const coverage = await temporaryFolder('coverage');
  const backend = await startScriptedBackend();
  const loaded = async (): Promise<readonly string[]> => {
    const texts = await Promise.all(
      (await readdir(coverage)).map((name) => readFile(`${coverage}/${name}`, 'utf8')),
    );
    return texts.flatMap((text) =>
      (JSON.parse(text) as { result: { url: string }[] }).result.map(({ url }) => url),
    );
  };
  const off = await startCacheGateway({
    authenticators: [backend.authenticator('corp')],
    env: { NODE_V8_COVERAGE: coverage },
  });
  await off.ask(randomToken());
  await off[Symbol.asyncDispose]();
  const urls = await loaded();
  expect(urls.filter((url) => /\/(src|dist)\/cli\.[jt]s$/.test(url))).toHaveLength(1);
  // The mere interface is a part of prom-client.
  expect(urls.filter((url) => /@opentelemetry\/(?!api\/)|open-telemetry/.test(url))).toEqual([]);
});
