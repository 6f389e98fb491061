import { type RejectionReason, rejectionReasons } from '@sallyport/authenticator';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Answer } from '../chain/chain.ts';
import type { CircuitState } from '../chain/circuit.ts';
import { addDuration, createDurations, type Durations, registerDurations } from './durations.ts';

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

/** The counts of one authenticator. Its decisions are counted with their times. */
interface Followed {
  readonly decisions: Readonly<Record<DecisionLabel, Durations>>;
  readonly reasons: Record<RejectionReason, number>;
}

/** @param links the authenticators of the running chain, read at each scrape */
export function createAuthenticatorMetrics(
  registry: Registry,
  links: () => readonly CircuitLink[],
): AuthenticatorMetrics {
  const followed = new Map<string, Followed>();
  createMetrics(registry, followed);
  createCircuitGauge(registry, links);
  return {
    follow(authenticators) {
      for (const name of followed.keys()) if (!authenticators.includes(name)) followed.delete(name);
      for (const name of authenticators) if (!followed.has(name)) followed.set(name, createFollowed());
    },
    record(answer) {
      const known = followed.get(answer.authenticator);
      if (known === undefined) return;
      if ('error' in answer) {
        addDuration(known.decisions.error, answer.seconds);
        return;
      }
      const { decision, recognized, seconds } = answer;
      // It has not checked the token: that is no decision, and its times would hide those of decisions.
      if (!recognized) return;
      addDuration(known.decisions[decision.kind], seconds);
      if (decision.kind === 'rejected') known.reasons[decision.reason] += 1;
    },
  };
}

function createFollowed(): Followed {
  return {
    decisions: Object.fromEntries(decisions.map((decision) => [decision, createDurations()])) as Followed['decisions'],
    reasons: Object.fromEntries(rejectionReasons.map((reason) => [reason, 0])) as Followed['reasons'],
  };
}

function createMetrics(registry: Registry, followed: ReadonlyMap<string, Followed>): void {
  const registers = [registry];
  const series = () =>
    [...followed].flatMap(([authenticator, known]) =>
      decisions.map((decision) => ({ labels: { authenticator, decision }, durations: known.decisions[decision] })),
    );
  new Counter({
    name: 'sallyport_authenticator_decisions_total',
    help: 'Decisions of each authenticator on tokens that it recognised, from its cache or its backend; other tokens are not counted. A rise of error means that it could not check tokens; of no-opinion, tokens that it does not know.',
    labelNames: ['authenticator', 'decision'] as const,
    registers,
    collect() {
      this.reset();
      for (const { labels, durations } of series()) this.inc(labels, durations.count);
    },
  });
  const name = 'sallyport_authenticator_duration_seconds';
  const help =
    'Seconds until an authenticator decided, from its cache or its backend. A rise means a slow backend or fewer answers from the cache. Errors near its timeout mean that the backend does not answer.';
  registerDurations(registry, { name, help }, series);
  new Counter({
    name: 'sallyport_authenticator_rejections_total',
    help: 'Tokens that an authenticator refused, by reason. A rise of invalid-credentials or throttled means that someone guesses passwords; of identity-policy, that a backend gives names that the config does not allow.',
    labelNames: ['authenticator', 'reason'] as const,
    registers,
    collect() {
      this.reset();
      for (const [authenticator, { reasons }] of followed) {
        for (const reason of rejectionReasons) this.inc({ authenticator, reason }, reasons[reason]);
      }
    },
  });
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
