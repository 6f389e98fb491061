import * as otel from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Logger } from '@sallyport/authenticator';
import type { Span, SpanOptions, Tracer } from '../../base/tracing/in-span.ts';
import type { TracingConfig } from '../../config/types.ts';

type SpanLogger = Pick<Logger, 'warn' | 'info'>;

/** The milliseconds of one attempt to send spans, and of sending all that wait at the end. */
const exportTimeout = 5_000;

const kinds = {
  server: otel.SpanKind.SERVER,
  client: otel.SpanKind.CLIENT,
  internal: otel.SpanKind.INTERNAL,
};

const propagator = new W3CTraceContextPropagator();

/**
 * Sends spans to an OpenTelemetry collector by OTLP over HTTP. This module and all that it imports are loaded only when
 * the config has `tracing`.
 */
export function createOtelTracer(
  { endpoint, sampleRatio }: TracingConfig,
  version: string,
  logger: SpanLogger,
): Tracer {
  const exporter = new OTLPTraceExporter({ url: endpoint, timeoutMillis: exportTimeout });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'sallyport', 'service.version': version }),
    // The caller decides: a trace that it samples is not torn, and one that it does not sample is not begun here.
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
    spanProcessors: [
      new BatchSpanProcessor({ exporter: withFailureLog(exporter, endpoint, logger) }),
    ],
  });
  otel.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const tracer = provider.getTracer('sallyport', version);
  return {
    inSpan(name, options, work) {
      const parent = readParent(options);
      const span = tracer.startSpan(name, { kind: kinds[options.kind ?? 'internal'] }, parent);
      return otel.context.with(otel.trace.setSpan(parent, span), () => run(span, work));
    },
    async close() {
      await provider.shutdown().catch(() => {});
      otel.context.disable();
    },
  };
}

/**
 * Logs once that spans can't be sent, and once that they can again: OpenTelemetry itself drops them without a message.
 */
export function withFailureLog(
  exporter: SpanExporter,
  endpoint: string,
  logger: SpanLogger,
): SpanExporter {
  // The query is left out, since it may have a key.
  const { origin, pathname } = new URL(endpoint);
  const fields = { endpoint: `${origin}${pathname}` };
  let isFailing = false;
  return {
    export(spans, callback) {
      exporter.export(spans, (result) => {
        const fails = result.code !== ExportResultCode.SUCCESS;
        if (fails && !isFailing)
          logger.warn(fields, 'spans are lost: the collector does not accept them');
        else if (!fails && isFailing) logger.info(fields, 'the collector accepts spans again');
        isFailing = fails;
        callback(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush && { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() }),
  };
}

function readParent({ headers }: SpanOptions): otel.Context {
  return headers === undefined
    ? otel.context.active()
    : propagator.extract(otel.ROOT_CONTEXT, headers, otel.defaultTextMapGetter);
}

async function run<Result>(
  span: otel.Span,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  let hasFailed = false;
  const fail = (type: string) => {
    hasFailed = true;
    span.setAttribute('error.type', type);
    span.setStatus({ code: otel.SpanStatusCode.ERROR });
  };
  try {
    return await work({ set: (attributes) => void span.setAttributes(attributes), fail });
  } catch (error) {
    // The type is the name of the error, unless the work gave one: messages may quote their input.
    if (!hasFailed) fail(error instanceof Error ? error.name : 'unknown');
    throw error;
  } finally {
    span.end();
  }
}
