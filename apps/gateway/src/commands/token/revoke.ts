import { type ExitCode, exitCodes } from '../exit-codes.ts';
import type { OutputFormat } from '../output.ts';
import { refuseEmpty } from './empty-options.ts';
import { type IssuingOptions, loadIssuing, withIssuer } from './issuing.ts';
import { operatorName } from './operator.ts';
import { createReport } from './revocation-report.ts';
import { prepareSelection, readWanted, type WantedOptions } from './wanted.ts';

export interface RevokeTokensOptions extends IssuingOptions, WantedOptions {
  readonly reason?: string;
  readonly by?: string;
  readonly output: OutputFormat;
}

/** Revokes tokens for good, and tells of each one, also when it can't go on to the end. */
export async function revokeTokens(options: RevokeTokensOptions): Promise<ExitCode> {
  const { reason, by = operatorName(), output } = options;
  const wanted = readWanted(options);
  refuseEmpty({ '--reason': reason, '--by': by });
  const issuing = await loadIssuing(options);
  const findSelection = await prepareSelection(wanted, issuing);
  return withIssuer(issuing, async (issuer) => {
    const { selection, nothing } = await findSelection(issuer);
    const revocation = { at: new Date(), by, ...(reason !== undefined && { reason }) };
    const report = createReport(issuing, { output, ofUser: wanted.kind === 'user', now: revocation.at.getTime() });
    try {
      for await (const one of selection === undefined ? [] : issuer.revoke(selection, revocation)) report.add(one);
    } finally {
      report.end();
    }
    if (report.found === 0) throw new Error(nothing);
    return report.unreadable === 0 ? exitCodes.success : exitCodes.fault;
  });
}
