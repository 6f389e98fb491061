import { type RejectionReason, rejectionReasons } from '@sallyport/authenticator';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Answer } from '../chain/chain.ts';
import type { CircuitState } from '../chain/circuit.ts';
import { durationBuckets } from './review-metrics.ts';

/** Counts the answers of each authenticator. */
export interface AuthenticatorMetrics {
  /** Sets the authenticators that are counted: new counters begin at 0, and all series of others are removed. */
  follow(authenticators: readonly string[]): void;
  /** Counts an answer, unless a reload has removed its authenticator. Never throws. */
  record(answer: Answer): void;
}

/** An authenticator in the running chain, as far as its circuit is concerned. */
export interface CircuitLink {
  readonly name: string;
  readonly guard: { readonly circuitState: CircuitState };
}

const decisions = ['authenticated', 'rejected', 'no-opinion', 'error'] as const;
type DecisionLabel = (typeof decisions)[number];

/** The labels of one authenticator, made once, since each review counts with them. */
interface Followed {
  readonly decisions: Readonly<Record<DecisionLabel, { authenticator: string; decision: DecisionLabel }>>;
  readonly reasons: Readonly<Record<RejectionReason, { authenticator: string; reason: RejectionReason }>>;
}

/** @param links the authenticators of the running chain, read at each scrape */
export function createAuthenticatorMetrics(
  registry: Registry,
  links: () => readonly CircuitLink[],
): AuthenticatorMetrics {
  const { answers, durations, rejections } = createMetrics(registry);
  createCircuitGauge(registry, links);
  const followed = new Map<string, Followed>();

  const begin = (authenticator: string) => {
    const labels = labelsOf(authenticator);
    for (const each of Object.values(labels.decisions)) answers.inc(each, 0);
    for (const each of Object.values(labels.reasons)) rejections.inc(each, 0);
    followed.set(authenticator, labels);
  };
  const end = (authenticator: string, labels: Followed) => {
    followed.delete(authenticator);
    for (const each of Object.values(labels.decisions)) {
      answers.remove(each);
      durations.remove(each);
    }
    for (const each of Object.values(labels.reasons)) rejections.remove(each);
  };

  return {
    follow(authenticators) {
      for (const [name, labels] of followed) if (!authenticators.includes(name)) end(name, labels);
      for (const name of authenticators) begin(name);
    },
    record(answer) {
      const known = followed.get(answer.authenticator);
      if (known === undefined) return;
      if ('error' in answer) {
        answers.inc(known.decisions.error);
        durations.observe(known.decisions.error, answer.seconds);
        return;
      }
      const { decision, recognized, seconds } = answer;
      // It has not checked the token: that is no decision, and its times would hide those of decisions.
      if (!recognized) return;
      answers.inc(known.decisions[decision.kind]);
      durations.observe(known.decisions[decision.kind], seconds);
      if (decision.kind === 'rejected') rejections.inc(known.reasons[decision.reason]);
    },
  };
}

function createMetrics(registry: Registry) {
  const registers = [registry];
  const labelNames = ['authenticator', 'decision'] as const;
  const answers = new Counter({
    name: 'sallyport_authenticator_decisions_total',
    help: 'Decisions of each authenticator on tokens that it recognised, from its cache or its backend; other tokens are not counted. A rise of error means that it could not check tokens; of no-opinion, tokens that it does not know.',
    labelNames,
    registers,
  });
  const durations = new Histogram({
    name: 'sallyport_authenticator_duration_seconds',
    help: 'Seconds until an authenticator decided, from its cache or its backend. A rise means a slow backend or fewer answers from the cache. Errors near its timeout mean that the backend does not answer.',
    labelNames,
    buckets: [...durationBuckets],
    registers,
  });
  const rejections = new Counter({
    name: 'sallyport_authenticator_rejections_total',
    help: 'Tokens that an authenticator refused, by reason. A rise of invalid-credentials or throttled means that someone guesses passwords; of identity-policy, that a backend gives names that the config does not allow.',
    labelNames: ['authenticator', 'reason'] as const,
    registers,
  });
  return { answers, durations, rejections };
}

const circuitValues: Readonly<Record<CircuitState, number>> = { closed: 0, 'half-open': 1, open: 2 };

function createCircuitGauge(registry: Registry, links: () => readonly CircuitLink[]): void {
  new Gauge({
    name: 'sallyport_authenticator_circuit_state',
    help: 'Circuit of each authenticator: 0 closed; 1 half-open, one call tests whether the backend has recovered; 2 open, the backend is not asked because at least half of the recent calls failed.',
    labelNames: ['authenticator'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, guard } of links()) this.set({ authenticator: name }, circuitValues[guard.circuitState]);
    },
  });
}

function labelsOf(authenticator: string): Followed {
  return {
    decisions: Object.fromEntries(
      decisions.map((decision) => [decision, { authenticator, decision }]),
    ) as Followed['decisions'],
    reasons: Object.fromEntries(
      rejectionReasons.map((reason) => [reason, { authenticator, reason }]),
    ) as Followed['reasons'],
  };
}

/** What a scrape reads of the lockout guard. */
export interface LockoutState {
  /** The authenticators of the config in force. */
  names(): readonly string[];
  /** The number of users who are locked out. */
  lockedOut(authenticator: string): number;
}

/** @returns counts foreign records that were removed from Redis */
export function createLockoutMetrics(registry: Registry, state: LockoutState): (foreignRecords: number) => void {
  const foreign = new Counter({
    name: 'sallyport_lockout_foreign_records_total',
    help: 'Records of refused tries and of right passwords that were removed from the cache Redis because no gateway with these sealing keys wrote them there. A rise means that another client writes to that Redis, or that replicas have different sealing keys.',
    registers: [registry],
  });
  new Gauge({
    name: 'sallyport_lockout_subjects',
    help: 'Users who are locked out now: they have lockout.maxFailures refused tries, and this replica refused a further one without sending it. A rise means that someone guesses passwords, or that a client still uses an old one.',
    labelNames: ['authenticator'],
    registers: [registry],
    collect() {
      this.reset();
      for (const authenticator of state.names()) this.set({ authenticator }, state.lockedOut(authenticator));
    },
  });
  return (count) => foreign.inc(count);
}
