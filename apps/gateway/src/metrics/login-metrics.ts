import { Counter, Gauge, type Registry } from 'prom-client';
import type { GatewayConfig } from '../config/types.ts';
import { type LoginReport, loginActions, loginOutcomes } from '../login/login-report.ts';
import type { RevalidationResult } from '../sessions/session-user.ts';
import { addDuration, createDurations, type Durations, registerDurations } from './durations.ts';

/** Counts what happens at the login server, and to sessions. */
export interface LoginMetrics {
  /** Never throws. */
  onLogin(report: Pick<LoginReport, 'action' | 'outcome' | 'seconds'>): void;
  /** Counts a result of asking for the user of a session, unless a reload has removed its authenticator. */
  onRevalidated(authenticator: string, result: RevalidationResult): void;
  /** Counts the authenticators of this config, and no others. */
  follow(config: Pick<GatewayConfig, 'login'>): void;
}

const results: readonly RevalidationResult[] = ['confirmed', 'refused', 'error', 'stale'];

/**
 * Without a login server there are no series.
 *
 * @param inFlight the number that `login.limits.inFlight` limits, read at each scrape
 */
export function createLoginMetrics(registry: Registry, inFlight: () => number): LoginMetrics {
  const registers = [registry];
  const durations = new Map<string, Durations>();
  const revalidations = new Map<string, Record<RevalidationResult, number>>();
  let isOn = false;
  const requests = new Counter({
    name: 'sallyport_login_requests_total',
    help: 'Requests to the login server, by what was asked and by outcome. A rise of refused logins means wrong passwords; of limited, that login.limits is reached; of unavailable, that the directory or the store of sessions does not answer. Absent without login.',
    labelNames: ['action', 'outcome'],
    registers,
  });
  const name = 'sallyport_login_duration_seconds';
  const help =
    'Seconds until a login was answered, by outcome. A refused one takes a multiple of 0.5. A rise of ok means a slow directory or store of sessions.';
  registerDurations(registry, { name, help }, () =>
    [...durations].map(([outcome, one]) => ({ labels: { outcome }, durations: one })),
  );
  new Gauge({
    name: 'sallyport_in_flight_login_requests',
    help: 'Logins in progress; limited by login.limits.inFlight. At the limit, they are refused with 429. Absent without login.',
    registers,
    collect() {
      this.remove();
      if (isOn) this.set(inFlight());
    },
  });
  new Counter({
    name: 'sallyport_session_revalidations_total',
    help: 'Times that a directory was asked whether the user of a session may still come in, by result. A rise of refused means users who are gone, disabled or have a new password; of error, that the directory could not be asked; of stale, reviews that were answered with its last answer.',
    labelNames: ['authenticator', 'result'],
    registers,
    collect() {
      this.reset();
      for (const [authenticator, counts] of revalidations) {
        for (const result of results) this.inc({ authenticator, result }, counts[result]);
      }
    },
  });
  return {
    onLogin({ action, outcome, seconds }) {
      requests.inc({ action, outcome });
      if (action !== 'login') return;
      if (!durations.has(outcome)) durations.set(outcome, createDurations());
      addDuration(durations.get(outcome) as Durations, seconds);
    },
    onRevalidated(authenticator, result) {
      const counts = revalidations.get(authenticator);
      if (counts !== undefined) counts[result] += 1;
    },
    follow({ login }) {
      const names = login?.authenticators ?? [];
      for (const known of revalidations.keys()) if (!names.includes(known)) revalidations.delete(known);
      for (const one of names) {
        if (!revalidations.has(one)) revalidations.set(one, { confirmed: 0, refused: 0, error: 0, stale: 0 });
      }
      if (isOn || login === undefined) return;
      isOn = true;
      for (const action of loginActions) for (const outcome of loginOutcomes) requests.inc({ action, outcome }, 0);
    },
  };
}
