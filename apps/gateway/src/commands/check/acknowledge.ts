import { coversWarning } from '../../config/acknowledgements.ts';
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

function covers(entry: Acknowledgement, finding: NamedFinding): boolean {
  if (finding.result !== 'warning') return false;
  return coversWarning(entry, finding.name, `${finding.check}: ${finding.detail}`);
}
