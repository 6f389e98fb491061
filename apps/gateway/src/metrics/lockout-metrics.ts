import { Counter, Gauge, type Registry } from 'prom-client';

/** The gateway's metrics of its lockout guard. */
export interface LockoutMetrics {
  foreignRecords(count: number): void;
}

/** What is looked at when Prometheus asks. */
export interface LockoutState {
  /** Of the authenticators of the config in force. */
  names(): readonly string[];
  lockedOut(authenticator: string): number;
}

export function createLockoutMetrics(registry: Registry, state: LockoutState): LockoutMetrics {
  const foreign = new Counter({
    name: 'sallyport_lockout_foreign_records_total',
    help: 'Records of refused tries and right passwords in the cache Redis that were removed because no gateway with these sealing keys wrote them there. A rise: another client writes to that Redis, or replicas have different sealing keys.',
    registers: [registry],
  });
  new Gauge({
    name: 'sallyport_lockout_subjects',
    help: 'Users who are locked out now: they have lockout.maxFailures refused tries, and this replica refused a further one without sending it. A rise: someone guesses passwords, or a client goes on with an old one.',
    labelNames: ['authenticator'],
    registers: [registry],
    collect() {
      this.reset();
      for (const authenticator of state.names()) this.set({ authenticator }, state.lockedOut(authenticator));
    },
  });
  return { foreignRecords: (count) => foreign.inc(count) };
}
