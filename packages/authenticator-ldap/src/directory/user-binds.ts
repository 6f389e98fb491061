import { setImmediate as nextTurn } from 'node:timers/promises';
import { durationText, within } from '@sallyport/plugin-kit';
import { createErrors, ServerError } from '../connection/server-error.ts';
import type { BindCredentials, BindResult } from '../connection/types.ts';
import { type ConnectionPool, createConnectionPool, type Lease } from './connection-pool.ts';
import { measured } from './metrics.ts';
import { isServerOutage, namedCode } from './result-codes.ts';
import { outage, type ServerAccess } from './service-account.ts';
import type { BindCall } from './types.ts';

/** How many milliseconds a late answer is waited for: a server that has not answered by then never will. */
const maxBindTime = 600_000;
/** The limit for late answers of one server. More than these are a problem of the server, not of a few users. */
const maxLate = 64;
/**
 * The milliseconds after which a connection without a bind is closed. Servers and firewalls end
 * idle connections after 30 s or more. A bind that crosses with that end gets no answer, and must
 * not be sent again.
 */
const maxIdleTime = 10_000;
/** The milliseconds without reuse after a server has failed a second bind on a connection. */
const distrustTime = 60_000;

/**
 * Creates the binds as users at one server, one after another on connections that are used for
 * nothing else (RFC 4511 section 4.2.1 allows it). A bind that may have reached the server is never
 * sent again: the server may have counted its password.
 */
export function createUserBinds(access: ServerAccess) {
  const { server, options, metrics, logger, now, closing } = access;
  const timeout = options.serverTimeout;
  const pool = createUserPool(access);
  let late = 0;
  let reusedFrom = options.reuseUserConnections
    ? Number.NEGATIVE_INFINITY
    : Number.POSITIVE_INFINITY;

  const distrust = (reason: string) => {
    // The connections that `close` ends say nothing about the server.
    if (closing.aborted || now() < reusedFrom) return;
    reusedFrom = now() + distrustTime;
    pool.dropIdle();
    const fields = { server: server.url, reason, pause: durationText(distrustTime) };
    logger.warn(fields, 'second bind on a connection failed: each user bind gets a new connection');
  };
  const giveBack = (
    lease: Lease,
    { code, passwordPolicyError, passwordMustChange }: BindResult,
  ) => {
    // operationsError and protocolError (RFC 4511 appendix A.2) mean that the server expects no bind here.
    if (lease.reused && (code === 1 || code === 2))
      distrust(`${server.url}: bind: ${namedCode(code)}`);
    // Only a right or a wrong password without any remark keeps the connection. Any other answer ends it.
    const isPlain =
      (code === 0 || code === 49) && passwordPolicyError === undefined && !passwordMustChange;
    lease.release(isPlain && now() >= reusedFrom);
  };
  // No closure of the bind may refer to the credentials, or to an error with the stack of the login: it outlives both.
  const bind = async (credentials: BindCredentials, { signal, onLate, onUnanswered }: BindCall) => {
    const lease = await openLease(pool, signal);
    // A connection that is open is written to in this turn.
    let isUnanswered = lease.connection.isOpen;
    const answer = lease.connection.bind(
      credentials,
      signal,
      onLate === undefined ? timeout : maxBindTime,
    );
    let isLate = false;
    const noAnswer = () => {
      isLate = true;
      return createErrors(server, 'bind')('timeout', `no answer within ${durationText(timeout)}`);
    };
    try {
      const inTime = () => within({ limit: timeout, late: noAnswer }, () => answer);
      const result = await measured(inTime, now, (name, time) => metrics.bound('user', name, time));
      isUnanswered = false;
      giveBack(lease, result);
      if (isServerOutage(result.code)) throw outage(server.url, result.code);
      return result;
    } catch (error) {
      if (isLate && onLate !== undefined && late < maxLate && lease.connection.isOpen) {
        late += 1;
        const lateAnswer = answer.finally(() => {
          late -= 1;
          lease.release(false);
        });
        // Another server may answer the login, and then no one waits for this server.
        lateAnswer.catch(() => {});
        onLate(lateAnswer);
      } else {
        if (isUnanswered) onUnanswered?.();
        if (lease.reused && isBroken(error)) distrust(error.message);
        lease.release(false);
      }
      throw error;
    }
  };
  return { ...pool, bind };
}

/**
 * Creates a pool with a connection for each bind that may be in progress, late ones included: no
 * caller waits for one.
 */
function createUserPool({ server, options, open, metrics, now, random }: ServerAccess) {
  return createConnectionPool({
    url: server.url,
    max: options.maxUserBinds + maxLate,
    idleTimeout: Math.min(maxIdleTime, options.pool.idleTimeout),
    maxAge: options.pool.maxAge,
    waitTimeout: options.serverTimeout,
    open,
    metrics: metrics.pool('user'),
    now,
    random,
  });
}

/**
 * Acquires a connection that the server has not ended, as far as is known: an end that came while
 * this process was busy is read before the bind is written.
 */
async function openLease(pool: ConnectionPool, signal: AbortSignal): Promise<Lease> {
  const lease = await pool.acquire(signal);
  if (!lease.reused) return lease;
  await nextTurn();
  if (!lease.connection.isOpen) await lease.replace(signal);
  return lease;
}

function isBroken(error: unknown): error is ServerError {
  return error instanceof ServerError && error.kind !== 'timeout' && error.kind !== 'answer';
}
