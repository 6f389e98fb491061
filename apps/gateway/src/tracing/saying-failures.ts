import { ExportResultCode } from '@opentelemetry/core';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from '@sallyport/authenticator';

/** Says once that spans can't be sent, and once that they are again: OpenTelemetry itself drops them without a word. */
export function sayingFailures(
  exporter: SpanExporter,
  endpoint: string,
  logger: Pick<Logger, 'warn' | 'info'>,
): SpanExporter {
  let isFailing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const fails = result.code !== ExportResultCode.SUCCESS;
        if (fails && !isFailing) logger.warn({ endpoint }, 'spans are lost: the collector does not take them');
        else if (!fails && isFailing) logger.info({ endpoint }, 'spans are taken again');
        isFailing = fails;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush && { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() }),
  };
}
