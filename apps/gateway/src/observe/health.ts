import type { Authenticator, DirectoryUse } from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import { withTimeLimit } from '../base/deadlines.ts';
import { describeCause } from '../config/problems.ts';
import type { GuardedLink } from '../engine/chain/guard.ts';

/** One line of a health endpoint. */
export interface HealthCheck {
  readonly name: string;
  readonly ok: boolean;
  /**
   * The problem. If the check is ok, it is a problem that the backend has although it answers. It is for the log and the status
   * page. The answer leaves it out, since anyone may ask.
   */
  readonly reason?: string;
}

export type HealthChecks = readonly HealthCheck[];

/** The milliseconds that one authenticator may take to check its backend. */
const checkTimeout = 2_000;

/** The milliseconds for which a result is used again: frequent requests must not cost the backends anything. */
const checkedFor = 10_000;

export type Health = ReturnType<typeof createHealth>;

/**
 * Knows the health of this gateway and of its authenticators.
 *
 * @param links the authenticators of the running chain, read each time
 * @param isUnknown see `Blocks`
 */
export function createHealth(
  links: () => readonly GuardedLink[],
  isUnknown: () => boolean = () => false,
) {
  let state: 'starting' | 'listening' | 'stopping' = 'starting';
  let last:
    | { at: number; links: readonly GuardedLink[]; checks: Promise<HealthChecks> }
    | undefined;
  return {
    get state() {
      return state;
    },
    /** The checks that decide readiness. No backend does: one that is down must not lock everyone out. */
    readiness: (): HealthCheck[] => [
      { name: 'listening', ok: state !== 'starting', reason: 'not listening yet' },
      { name: 'shutdown', ok: state !== 'stopping', reason: 'shutting down' },
      // This replica lets no one in. Others, which have read the list before, do.
      {
        name: 'revocation-list',
        ok: !isUnknown(),
        reason: 'no list was read since the start or a long pause',
      },
    ],
    /** Checks each authenticator, for `?verbose` and the status page. The result does not decide readiness. */
    authenticators() {
      const now = performance.now();
      const current = links();
      if (last === undefined || last.links !== current || now - last.at > checkedFor) {
        last = { at: now, links: current, checks: Promise.all(current.map(checkAuthenticator)) };
      }
      return last.checks;
    },
    /** Must be called when reviews are answered. */
    listening() {
      state = 'listening';
    },
    /** Must be called when the shutdown begins. */
    stopping() {
      state = 'stopping';
    },
  };
}

/** Checks an authenticator, its circuit first: while it is open, this check does not call the backend either. */
async function checkAuthenticator({ name, guard }: GuardedLink): Promise<HealthCheck> {
  if (guard.circuitState !== 'closed')
    return { name, ok: false, reason: `circuit ${guard.circuitState}` };
  try {
    const warnings = await checkInTime(guard, checkTimeout);
    return { name, ok: true, ...(warnings.length > 0 && { reason: warnings.join('\n') }) };
  } catch (error) {
    return { name, ok: false, reason: describeCause(error) };
  }
}

/**
 * Has an authenticator check its backend. One without a `check` has nothing that could fail.
 *
 * @param use how `directory` of the config uses it: given by `sallyport check` alone
 * @returns the warnings of its plugin about a backend that works. Since a plugin may return anything, all but texts
 *   is left out
 * @throws Error from the check, or after `limit` milliseconds
 */
export async function checkInTime(
  authenticator: Pick<Authenticator, 'check'>,
  limit: number,
  use?: DirectoryUse,
): Promise<readonly string[]> {
  const look = async (signal: AbortSignal): Promise<unknown> =>
    await authenticator.check?.(signal, use);
  const problems = await withTimeLimit(limit, noAnswerWithin(limit), look);
  return Array.isArray(problems) ? problems.filter((problem) => typeof problem === 'string') : [];
}

/** Says that an answer took too long. @param limit milliseconds */
export function noAnswerWithin(limit: number): string {
  return `no answer within ${durationText(limit)}`;
}

/**
 * Makes the answer of a health endpoint, word for word as Kubernetes gives it (kubernetes/apiserver
 * pkg/server/healthz/healthz.go): `ok`, or every check when one failed or `verbose` is set.
 *
 * @param name `livez` or `readyz`
 * @param notes are shown if `verbose`, and decide nothing: one that failed is marked `[!]`, where Kubernetes has no
 *   mark
 */
export function healthAnswer(
  name: string,
  checks: HealthChecks,
  verbose: boolean,
  notes: HealthChecks = [],
) {
  const ok = checks.every((check) => check.ok);
  if (ok && !verbose) return { ok, body: 'ok' };
  const line = (check: HealthCheck, failed: string) =>
    check.ok ? `[+]${check.name} ok\n` : `${failed}\n`;
  const lines = [
    ...[{ name: 'ping', ok: true }, ...checks].map((check) =>
      line(check, `[-]${check.name} failed: reason withheld`),
    ),
    ...notes.map((note) =>
      line(note, `[!]${note.name} failed: reason withheld, does not affect readiness`),
    ),
  ];
  return { ok, body: `${lines.join('')}${name} check ${ok ? 'passed' : 'failed'}\n` };
}
