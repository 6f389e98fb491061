import { rejectionReasons } from '@sallyport/authenticator';
import type { Registry } from 'prom-client';
import type { Answer } from '../../engine/chain/chain.ts';
import type { CircuitState } from '../../engine/chain/circuit.ts';
import type { GuardedLink } from '../../engine/chain/guard.ts';
import {
  addDuration,
  byLabel,
  createDurations,
  createFamilies,
  createNamedCounts,
  fillRecord,
} from './families.ts';

const decisions = ['authenticated', 'rejected', 'no-opinion', 'error'] as const;
const circuitValues: Readonly<Record<CircuitState, number>> = {
  closed: 0,
  'half-open': 1,
  open: 2,
};

/** Creates the counts of one authenticator. Its decisions are counted with their times. */
const createCounts = () => ({
  decisions: fillRecord(decisions, createDurations),
  reasons: fillRecord(rejectionReasons, () => 0),
});

/**
 * Counts the answers of each authenticator.
 *
 * @param links the authenticators of the running chain, read at each scrape
 */
export function createAuthenticatorMetrics(
  registry: Registry,
  links: () => readonly Pick<GuardedLink, 'name' | 'guard'>[],
) {
  const authenticators = createNamedCounts('authenticator', createCounts);
  const times = () =>
    authenticators.listSeries(({ decisions }, labels) => byLabel('decision', decisions, labels));
  const { counter, gauge, histogram } = createFamilies(registry);
  counter(
    'sallyport_authenticator_decisions_total',
    'Decisions of each authenticator on tokens that it recognized, from its cache or its backend; other tokens are not counted. A rise of error means that it could not check tokens; of no-opinion, tokens that it does not know.',
    () => times().map(([labels, { count }]) => [labels, count]),
  );
  histogram(
    'sallyport_authenticator_duration_seconds',
    'Seconds until an authenticator decided, from its cache or its backend. A rise means a slow backend or fewer answers from the cache. Errors near its timeout mean that the backend does not answer.',
    times,
  );
  counter(
    'sallyport_authenticator_rejections_total',
    'Tokens that an authenticator refused, by reason. A rise of invalid-credentials or throttled means that someone guesses passwords; of identity-policy, that a backend gives names that the config does not allow.',
    () => authenticators.listSeries(({ reasons }, labels) => byLabel('reason', reasons, labels)),
  );
  gauge(
    'sallyport_authenticator_circuit_state',
    'Circuit of each authenticator: 0 closed; 1 half-open, one call tests whether the backend has recovered; 2 open, the backend is not asked because at least half of the recent calls failed.',
    () =>
      links().map(({ name, guard }) => [
        { authenticator: name },
        circuitValues[guard.circuitState],
      ]),
  );
  return {
    /** Sets the authenticators that are counted. */
    follow: authenticators.follow,
    /** Counts an answer, unless a reload has removed its authenticator. It never throws. */
    record(answer: Answer): void {
      const counts = authenticators.get(answer.authenticator);
      if (counts === undefined) return;
      if ('error' in answer) {
        addDuration(counts.decisions.error, answer.seconds);
        return;
      }
      const { decision, recognized, seconds } = answer;
      // It has not checked the token. That is not a decision, and its times would hide the times of decisions.
      if (!recognized) return;
      addDuration(counts.decisions[decision.kind], seconds);
      if (decision.kind === 'rejected') counts.reasons[decision.reason] += 1;
    },
  };
}

/** Shows how many foreign records were removed. @returns a function that counts records removed from Redis */
export function createLockoutMetrics(registry: Registry): (foreignRecords: number) => void {
  let foreign = 0;
  createFamilies(registry).counter(
    'sallyport_lockout_foreign_records_total',
    'Records of refused attempts and of right passwords that were removed from the cache Redis because no gateway with these sealing keys wrote them there. A rise means that another client writes to that Redis, or that replicas have different sealing keys.',
    () => [[{}, foreign]],
  );
  return (count) => {
    foreign += count;
  };
}

/**
 * Shows how many users are locked out.
 *
 * @param names of the authenticators, read at each scrape
 */
export function createLockoutGauge(
  registry: Registry,
  names: () => readonly string[],
  lockedOut: (authenticator: string) => number,
): void {
  createFamilies(registry).gauge(
    'sallyport_lockout_subjects',
    'Users who are locked out now: they have lockout.maxFailures refused attempts, and this replica refused a further one without sending it. A rise means that someone guesses passwords, or that a client still uses an old one.',
    () => names().map((authenticator) => [{ authenticator }, lockedOut(authenticator)]),
  );
}
