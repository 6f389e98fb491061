import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig, TracingConfig } from '../config/types.ts';
import { type Tracer, useTracer } from '../tracing/in-span.ts';

/** The tracer of the config in force. */
export interface Tracing {
  /** Never rejects: a gateway does its work without traces, too. */
  apply(config: Pick<GatewayConfig, 'tracing'>): Promise<void>;
  /** Sends what waits. Never rejects. */
  close(): Promise<void>;
}

const manifest = new URL('../../package.json', import.meta.url);

export function createTracing(logger: Logger): Tracing {
  let now: TracingConfig | undefined;
  let tracer: Tracer | undefined;
  let queue: Promise<void> = Promise.resolve();

  async function follow(next: TracingConfig | undefined): Promise<void> {
    if (JSON.stringify(next) === JSON.stringify(now)) return;
    now = next;
    useTracer(undefined);
    await tracer?.close();
    tracer = next && (await createTracer(next, logger));
    useTracer(tracer);
  }
  /** One after the other: there is one context of traces in a process. */
  const inTurn = (next: TracingConfig | undefined): Promise<void> => {
    queue = queue
      .then(() => follow(next))
      .catch((error: unknown) => logger.error({ problems: [causeOf(error)] }, 'no spans are made'));
    return queue;
  };
  return {
    apply: ({ tracing }) => inTurn(tracing),
    close: () => inTurn(undefined),
  };
}

async function createTracer(config: TracingConfig, logger: Logger): Promise<Tracer> {
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  // Loaded only where it is asked for: it is more code than the rest of the gateway.
  const { createOtelTracer } = await import('../tracing/open-telemetry.ts');
  return createOtelTracer(config, version, logger);
}
