import { createStatusCollector, type StatusCollector } from '../admin/status-page/collector.ts';
import type { GatewayStatus } from '../admin/status-page/document.ts';
import { isLoopback } from '../config/listen.ts';
import type { GatewayConfig } from '../config/types.ts';
import type { LockoutGuard } from '../lockout/attempts.ts';
import { gatewayVersion } from '../metrics/build-info.ts';
import type { InFlight } from '../server/in-flight.ts';
import type { TlsMaterial } from '../server/tls.ts';
import type { Generation } from './generation.ts';
import type { Health } from './health.ts';
import type { SharedState } from './shared-state.ts';

/** What the status page shows, and whether it is shown. */
export interface Status extends StatusCollector {
  readonly isShown: () => boolean;
}

export interface StatusDependencies {
  /** The one that runs at first. */
  readonly config: GatewayConfig;
  readonly tls: TlsMaterial | undefined;
  /** That which runs; undefined until there is one. */
  readonly generation: () => Generation | undefined;
  readonly health: Health;
  readonly shared: Pick<SharedState, 'caching' | 'blocks' | 'listAge'>;
  readonly attempts: Pick<LockoutGuard, 'lockedOut'>;
  readonly inFlight: Pick<InFlight, 'count'>;
}

export function createStatus(dependencies: StatusDependencies): Status {
  const { config, tls, generation, health, shared, attempts, inFlight } = dependencies;
  const startedAt = Date.now();
  const running = () => generation()?.config ?? config;
  const collector = createStatusCollector(config, {
    gateway: () => ({
      version: gatewayVersion,
      state: stateOf(health),
      startedAt,
      inFlight: inFlight.count,
      maxInFlight: running().server.maxInFlight,
    }),
    links: () => generation()?.links ?? [],
    health: health.authenticators,
    cache() {
      const redis = generation()?.redis;
      return { entries: shared.caching.memory.entries, ...(redis && { redis: { leftAlone: redis.isCircuitOpen } }) };
    },
    stopping() {
      const { listAge: age } = shared;
      const read = age === undefined ? {} : { listAge: Number.isFinite(age) ? age / 1000 : null };
      const lockedOut = running().authenticators.reduce((sum, { name }) => sum + attempts.lockedOut(name), 0);
      return { blocked: shared.blocks.blocks.length, lockedOut, ...read, cutOff: shared.caching.revocations.isCutOff };
    },
    clocks: { monotonic: () => performance.now(), wall: () => Date.now() },
  });
  collector.certificates(tls?.certificates ?? []);
  return {
    ...collector,
    isShown: () => {
      const { listen, statusPage = isLoopback(listen.host) } = running().admin;
      return statusPage;
    },
  };
}

function stateOf(health: Health): GatewayStatus['state'] {
  const failed = health.readiness().find(({ ok }) => !ok)?.name;
  if (failed === undefined) return 'listening';
  return failed === 'shutdown' ? 'stopping' : 'starting';
}
