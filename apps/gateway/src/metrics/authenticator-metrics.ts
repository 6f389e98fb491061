import { type RejectionReason, rejectionReasons } from '@sallyport/authenticator';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Answer } from '../chain/chain.ts';
import type { CircuitState } from '../chain/circuit.ts';
import type { GuardedLink } from '../chain/guard.ts';
import { durationBuckets } from './duration-buckets.ts';

/** What is counted of each authenticator. */
export interface AuthenticatorMetrics {
  /** From now on there are these: their counters begin at 0, and all series of others go. */
  follow(authenticators: readonly string[]): void;
  /** Of one that is followed; what others still say, whom a reload has removed, is lost. Never throws. */
  record(answer: Answer): void;
}

const decisions = ['authenticated', 'rejected', 'no-opinion', 'error'] as const;
type DecisionLabel = (typeof decisions)[number];

/** Its labels, made once: each review counts with them. */
interface Followed {
  readonly decisions: Readonly<Record<DecisionLabel, { authenticator: string; decision: DecisionLabel }>>;
  readonly reasons: Readonly<Record<RejectionReason, { authenticator: string; reason: RejectionReason }>>;
}

/** @param links those of the chain that runs, asked when Prometheus asks */
export function createAuthenticatorMetrics(
  registry: Registry,
  links: () => readonly Pick<GuardedLink, 'name' | 'guard'>[],
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
      // It has not looked at the token: that is no decision, and would drown its times.
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
    help: 'What each authenticator said to tokens that it recognised, from its cache or its backend; the others are not counted. A rise of error: it could not check. Of no-opinion: tokens that it does not know.',
    labelNames,
    registers,
  });
  const durations = new Histogram({
    name: 'sallyport_authenticator_duration_seconds',
    help: 'Seconds until an authenticator had said so, from its cache or its backend. A rise: its backend is slow, or less is answered from the cache. Errors near its timeout: the backend does not answer.',
    labelNames,
    buckets: [...durationBuckets],
    registers,
  });
  const rejections = new Counter({
    name: 'sallyport_authenticator_rejections_total',
    help: 'Tokens that an authenticator refused, by why. A rise of invalid-credentials or throttled: somebody guesses passwords. Of identity-policy: a backend gives names that this config does not allow.',
    labelNames: ['authenticator', 'reason'] as const,
    registers,
  });
  return { answers, durations, rejections };
}

const circuitValues: Readonly<Record<CircuitState, number>> = { closed: 0, 'half-open': 1, open: 2 };

function createCircuitGauge(registry: Registry, links: () => readonly Pick<GuardedLink, 'name' | 'guard'>[]): void {
  new Gauge({
    name: 'sallyport_authenticator_circuit_state',
    help: 'The circuit of each authenticator: 0 closed; 1 half-open, one call finds out; 2 open, its backend is left alone since half of its calls failed.',
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
