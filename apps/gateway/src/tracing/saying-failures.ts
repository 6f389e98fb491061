import { ExportResultCode } from '@opentelemetry/core';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from '@sallyport/authenticator';

/** Says once that spans can't be sent, and once that they are again: OpenTelemetry itself drops them without a word. */
export function sayingFailures(
  exporter: SpanExporter,
  endpoint: string,
  logger: Pick<Logger, 'warn' | 'info'>,
): SpanExporter {
  // Without a query: what stands there may be a key.
  const { origin, pathname } = new URL(endpoint);
  const collector = { endpoint: `${origin}${pathname}` };
  let isFailing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const fails = result.code !== ExportResultCode.SUCCESS;
        if (fails && !isFailing) logger.warn(collector, 'spans are lost: the collector does not take them');
        else if (!fails && isFailing) logger.info(collector, 'spans are taken again');
        isFailing = fails;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush && { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() }),
  };
}
