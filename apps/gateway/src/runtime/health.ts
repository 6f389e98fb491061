import type { HealthCheck } from '../admin/health.ts';
import type { GuardedLink } from '../chain/guard.ts';
import { causeOf } from '../config/problems.ts';
import { withTimeLimit } from './time-limit.ts';

export interface Health {
  /** What decides readiness. A backend is not among it: one that is down must not lock everybody out. */
  readiness(): readonly HealthCheck[];
  /** How each authenticator is, for `?verbose`: told, and never decisive. */
  authenticators(): Promise<readonly HealthCheck[]>;
  /** Reviews are answered from now on. */
  listening(): void;
  stopping(): void;
}

/** How long one authenticator may take to check its backend, in milliseconds. */
const checkTimeout = 2_000;

/** How long what a check said is told again, in milliseconds: who asks often must not cost the backends. */
const checkedFor = 10_000;

/** @param links of the chain that runs, asked each time */
export function createHealth(links: () => readonly GuardedLink[]): Health {
  let state: 'starting' | 'listening' | 'stopping' = 'starting';
  let last: { at: number; links: readonly GuardedLink[]; checks: Promise<readonly HealthCheck[]> } | undefined;
  return {
    readiness: () => [
      { name: 'listening', ok: state !== 'starting', reason: 'not listening yet' },
      { name: 'shutdown', ok: state !== 'stopping', reason: 'shutting down' },
    ],
    authenticators() {
      const now = performance.now();
      const current = links();
      if (last === undefined || last.links !== current || now - last.at > checkedFor) {
        last = { at: now, links: current, checks: Promise.all(current.map(checkAuthenticator)) };
      }
      return last.checks;
    },
    listening: () => {
      state = 'listening';
    },
    stopping: () => {
      state = 'stopping';
    },
  };
}

/** The circuit first: while it is open, its backend is left alone here too. */
async function checkAuthenticator({ name, guard }: GuardedLink): Promise<HealthCheck> {
  if (guard.circuitState !== 'closed') return { name, ok: false, reason: `circuit ${guard.circuitState}` };
  try {
    await checkInTime(guard, checkTimeout);
    return { name, ok: true };
  } catch (error) {
    return { name, ok: false, reason: causeOf(error) };
  }
}

/**
 * Has an authenticator check its backend.
 *
 * @throws Error with what it said, or after `limit` milliseconds; one without a `check` has nothing that could fail
 */
export async function checkInTime(
  authenticator: { check?(signal: AbortSignal): Promise<void> },
  limit: number,
): Promise<void> {
  await withTimeLimit(limit, `no answer within ${limit / 1000} s`, (signal) => authenticator.check?.(signal));
}
