import type { GatewayConfig } from '../../config/types.ts';
import { type NamedFinding, toPlacedWarning } from '../finding.ts';

/** An AcknowledgedFinding is a warning that the config expects. */
export type AcknowledgedFinding = Omit<NamedFinding, 'result'> & {
  readonly result: 'acknowledged';
  /** Why the warning is expected, as the config says. */
  readonly reason: string;
};

type Acknowledgement = GatewayConfig['acknowledgements'][number];

/**
 * Separates the warnings that `check.acknowledge` covers. An entry that covers none is a warning itself, unless an error may have kept
 * its warning from being found.
 */
export function acknowledge(
  findings: readonly NamedFinding[],
  acknowledgements: readonly Acknowledgement[],
): readonly (NamedFinding | AcknowledgedFinding)[] {
  const covering = new Set<Acknowledgement>();
  const separated = findings.map((finding) => {
    const entries = acknowledgements.filter((entry) => covers(entry, finding));
    for (const entry of entries) covering.add(entry);
    const [entry] = entries;
    return entry === undefined
      ? finding
      : { ...finding, result: 'acknowledged' as const, reason: entry.reason };
  });
  if (findings.some(({ result }) => result === 'error')) return separated;
  const unused = acknowledgements.filter((entry) => !covering.has(entry));
  return [
    ...separated,
    ...unused.map((entry) => ({
      check: 'config',
      ...toPlacedWarning(
        'acknowledgement',
        entry.problem({ message: 'no warning is like this one', fix: 'remove it' }),
      ),
    })),
  ];
}

/** Whether an entry covers a finding: `corp` is not in a warning about `corp-eu`. */
function covers({ warning, about }: Acknowledgement, finding: NamedFinding): boolean {
  if (finding.result !== 'warning' || finding.name !== warning) return false;
  if (about === undefined) return true;
  const pieces = `${finding.check}: ${finding.detail}`.split(about);
  return pieces.slice(1).some((next, index) => {
    return !/[\w-]$/.test(pieces[index] ?? '') && !/^[\w-]/.test(next);
  });
}
