import type { Registry } from 'prom-client';
import type { GatewayConfig } from '../../config/types.ts';
import type { RevalidationResult } from '../../engine/sessions/session-user.ts';
import {
  addDuration,
  byLabel,
  createDurations,
  createFamilies,
  createNamedCounts,
  fillRecord,
} from './families.ts';

const providerCalls = ['discovery', 'token'] as const;
const callResults = ['ok', 'error'] as const;

const results: readonly RevalidationResult[] = ['confirmed', 'refused', 'error', 'stale'];

/** The values of the labels of a request, so that each series begins at 0. */
interface LoginLabels<Action extends string, Outcome extends string> {
  readonly actions: readonly Action[];
  readonly outcomes: readonly Outcome[];
}

/** A request to the login server that was answered. */
interface LoginRequestCount<Action extends string, Outcome extends string> {
  readonly action: Action;
  readonly outcome: Outcome;
  readonly seconds: number;
  /** Whether someone proves who they are with it. */
  readonly isProof: boolean;
}

/**
 * Counts what happens at the login server, and to sessions. Without a login server there are no series.
 *
 * @param inFlight the number that `login.limits.inFlight` limits, read at each scrape
 */
export function createLoginMetrics<Action extends string, Outcome extends string>(
  registry: Registry,
  { actions, outcomes }: LoginLabels<Action, Outcome>,
  inFlight: () => number,
) {
  const requests = fillRecord(actions, () => fillRecord(outcomes, () => 0));
  const durations = fillRecord(outcomes, createDurations);
  const revalidations = createNamedCounts('authenticator', () => fillRecord(results, () => 0));
  const calls = createNamedCounts('provider', () =>
    fillRecord(providerCalls, () => fillRecord(callResults, () => 0)),
  );
  let isOn = false;
  const { counter, gauge, histogram } = createFamilies(registry);
  counter(
    'sallyport_login_requests_total',
    'Requests to the login server, by what was asked and by outcome. A rise of refused logins means wrong passwords or codes; incomplete means a right password whose second factor is still missing; a rise of limited means that login.limits is reached; of unavailable, that the directory or the session store does not answer. Absent without login.',
    () =>
      isOn ? actions.flatMap((action) => byLabel('outcome', requests[action], { action })) : [],
  );
  histogram(
    'sallyport_login_duration_seconds',
    'Seconds until a password or an ID token was answered, by outcome. A refused password takes a multiple of 0.5. A rise of ok means a slow directory, provider or session store.',
    () => byLabel('outcome', durations),
  );
  gauge(
    'sallyport_in_flight_login_requests',
    'Logins in progress; limited by login.limits.inFlight. At the limit, they are refused with 429. Absent without login.',
    () => (isOn ? [[{}, inFlight()]] : []),
  );
  counter(
    'sallyport_session_revalidations_total',
    'Times that a directory was asked whether the user of a session may still come in, by result. A rise of refused means users who are gone, disabled or have a new password; of error, that the directory could not be asked; of stale, reviews that were answered with its last answer.',
    () => revalidations.listSeries((counts, labels) => byLabel('result', counts, labels)),
  );
  counter(
    'sallyport_login_provider_requests_total',
    'Requests of the login server to the providers of login.providers, by what was asked and by result. A rise of error means that users can not log in there: the log says why. Absent without login.providers.',
    () =>
      calls.listSeries((counts, labels) =>
        providerCalls.flatMap((call) => byLabel('result', counts[call], { ...labels, call })),
      ),
  );
  return {
    /** Counts a request to a provider, unless a reload has removed it. */
    onProviderCall(provider: string, call: (typeof providerCalls)[number], isOk: boolean): void {
      const counts = calls.get(provider)?.[call];
      if (counts !== undefined) counts[isOk ? 'ok' : 'error'] += 1;
    },
    /** Counts a request. It never throws. */
    onLogin({ action, outcome, seconds, isProof }: LoginRequestCount<Action, Outcome>): void {
      requests[action][outcome] += 1;
      if (isProof) addDuration(durations[outcome], seconds);
    },
    /** Counts a result of asking for the user of a session, unless a reload has removed its authenticator. */
    onRevalidated(authenticator: string, result: RevalidationResult): void {
      const counts = revalidations.get(authenticator);
      if (counts !== undefined) counts[result] += 1;
    },
    /** Counts the authenticators of this config, and no others. */
    follow({ login }: Pick<GatewayConfig, 'login'>): void {
      revalidations.follow(login?.authenticators ?? []);
      calls.follow(Object.keys(login?.providers ?? {}));
      isOn ||= login !== undefined;
    },
  };
}
