import { Counter, type Registry } from 'prom-client';

/** The gateway's metrics of its lockout guard. */
export interface LockoutMetrics {
  foreignRecords(count: number): void;
}

export function createLockoutMetrics(registry: Registry): LockoutMetrics {
  const foreign = new Counter({
    name: 'sallyport_lockout_foreign_records_total',
    help: 'Records of refused tries and right passwords in the cache Redis that were removed because no gateway with these sealing keys wrote them there. A rise: another client writes to that Redis, or replicas have different sealing keys.',
    registers: [registry],
  });
  return { foreignRecords: (count) => foreign.inc(count) };
}
