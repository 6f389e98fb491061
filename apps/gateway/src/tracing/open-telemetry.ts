import {
  type Context,
  context,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Logger } from '@sallyport/authenticator';
import type { TracingConfig } from '../config/types.ts';
import type { Span, SpanOptions, Tracer } from './in-span.ts';
import { sayingFailures } from './saying-failures.ts';

/** Milliseconds for one try to send spans, and for all that wait at the end. */
const exportTimeout = 5_000;

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL };

const propagator = new W3CTraceContextPropagator();

/**
 * Sends spans to an OpenTelemetry collector by OTLP over HTTP. This module and all beneath it are loaded only when the
 * config asks for it.
 */
export function createOtelTracer(
  { endpoint, sampleRatio }: TracingConfig,
  version: string,
  logger: Pick<Logger, 'warn' | 'info'>,
): Tracer {
  const exporter = new OTLPTraceExporter({ url: endpoint, timeoutMillis: exportTimeout });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'sallyport', 'service.version': version }),
    // Who calls has the say: a trace that it follows is not torn, and one that it does not is not begun by us.
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
    spanProcessors: [new BatchSpanProcessor({ exporter: sayingFailures(exporter, endpoint, logger) })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const tracer = provider.getTracer('sallyport', version);
  return {
    inSpan(name, options, work) {
      const parent = parentOf(options);
      const span = tracer.startSpan(name, { kind: kinds[options.kind ?? 'internal'] }, parent);
      return context.with(trace.setSpan(parent, span), () => run(span, work));
    },
    async close() {
      await provider.shutdown().catch(() => {});
      context.disable();
    },
  };
}

function parentOf({ headers }: SpanOptions): Context {
  if (headers === undefined) return context.active();
  return propagator.extract(ROOT_CONTEXT, headers, {
    keys: (carrier) => Object.keys(carrier),
    get: (carrier, key) => {
      const value = carrier[key];
      return typeof value === 'string' ? value : undefined;
    },
  });
}

async function run<Result>(span: OtelSpan, work: (span: Span) => Promise<Result>): Promise<Result> {
  let hasFailed = false;
  const fail = (type: string) => {
    hasFailed = true;
    span.setAttribute('error.type', type);
    span.setStatus({ code: SpanStatusCode.ERROR });
  };
  try {
    return await work({
      set: (attributes) => {
        for (const [name, value] of Object.entries(attributes)) if (value !== undefined) span.setAttribute(name, value);
      },
      fail,
    });
  } catch (error) {
    // By its name alone, unless more was said: messages may quote what they met.
    if (!hasFailed) fail(error instanceof Error ? error.name : 'unknown');
    throw error;
  } finally {
    span.end();
  }
}
