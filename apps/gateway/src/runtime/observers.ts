import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { createAuditTrail } from '../audit/trail.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createAuditMetrics } from '../metrics/process-metrics.ts';
import type { Entry } from '../revocation/types.ts';
import type { OnReview } from '../server/review-report.ts';
import { createTracing } from './tracing.ts';

/** What keeps an account of reviews, as the config in force has it. */
export interface Observers {
  readonly record: OnReview;
  /** Keeps an account of what an administrator did. */
  readonly act: (entry: Entry) => void;
  /** @throws Error when the trail can't be written */
  start(config: GatewayConfig): Promise<void>;
  /** Takes over another config. What it can't use is logged, and what was stays. */
  follow(config: GatewayConfig): void;
  /** The trail's file may have been moved away. */
  reopen(): Promise<void>;
  /** Writes and sends what waits. */
  close(): Promise<void>;
}

export function createObservers(registry: Registry, logger: Logger): Observers {
  const audit = createAuditTrail({ logger, onDropped: createAuditMetrics(registry) });
  const tracing = createTracing(logger);
  return {
    record: audit.record,
    act: audit.act,
    async start(config) {
      await tracing.apply(config);
      await audit.configure(config);
    },
    follow(config) {
      void audit.follow(config);
      void tracing.apply(config);
    },
    reopen: audit.reopen,
    async close() {
      await Promise.all([audit.close(), tracing.close()]);
    },
  };
}
