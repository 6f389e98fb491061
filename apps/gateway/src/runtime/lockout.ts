import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { GatewayConfig } from '../config/types.ts';
import { createAttempts, type LockoutGuard } from '../lockout/attempts.ts';
import { createLockoutMetrics } from '../metrics/authenticator-metrics.ts';
import type { Entry } from '../revocation/types.ts';
import type { SharedRedis } from '../shared-redis/types.ts';

export interface LockoutDependencies {
  /** That in force. */
  readonly config: () => GatewayConfig;
  readonly redis: () => SharedRedis | undefined;
  readonly registry: Registry;
  readonly logger: Pick<Logger, 'info'>;
}

/** The lockout guard of this process, with its metrics. */
export interface Lockout {
  readonly attempts: LockoutGuard;
  /** Takes in that an operator has unlocked a user. */
  onUnlock(entry: Entry): void;
}

export function createLockout({ config, redis, registry, logger }: LockoutDependencies): Lockout {
  const onForeign = createLockoutMetrics(registry, {
    names: () => config().authenticators.map(({ name }) => name),
    lockedOut: (authenticator) => attempts.lockedOut(authenticator),
  });
  const now = () => performance.now();
  const attempts = createAttempts(() => config().lockout, { now, shared: redis, onForeign });
  return {
    attempts,
    onUnlock({ name: subject, by, reason }) {
      attempts.unlock(subject, config().authenticators);
      logger.info({ subject, by, reason }, 'refused tries forgotten: an operator unlocked the user');
    },
  };
}
