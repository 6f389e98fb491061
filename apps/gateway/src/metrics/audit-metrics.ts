import { Counter, type Registry } from 'prom-client';

/** @returns counts a line of the audit trail that was dropped */
export function createAuditMetrics(registry: Registry): () => void {
  const dropped = new Counter({
    name: 'sallyport_audit_lines_dropped_total',
    help: 'Lines of the audit trail that found no room, because the disk is full or nobody reads fast enough. Any rise: decisions without an account.',
    registers: [registry],
  });
  return () => dropped.inc();
}
