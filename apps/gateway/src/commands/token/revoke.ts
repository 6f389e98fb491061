import type { RevokedToken } from '@sallyport/authenticator';
import type { Entry } from '../../revocation/types.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import type { OutputFormat } from '../output.ts';
import { type Forgotten, forgetRevoked } from '../stopping/forget-revoked.ts';
import { refuseEmpty } from './empty-options.ts';
import { type Issuing, type IssuingOptions, loadIssuing, withIssuer } from './issuing.ts';
import { operatorName } from './operator.ts';
import { createReport } from './revocation-report.ts';
import { prepareSelection, readWanted, type Wanted, type WantedOptions } from './wanted.ts';

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
    const record = { by, ...(reason !== undefined && { reason }) };
    const revocation = { at: new Date(), ...record };
    const report = createReport(issuing, { output, ofUser: wanted.kind === 'user', now: revocation.at.getTime() });
    let forgotten: Forgotten | undefined;
    let last: RevokedToken | undefined;
    try {
      for await (const one of selection === undefined ? [] : issuer.revoke(selection, revocation)) {
        report.add(one);
        if ('token' in one) last = one;
      }
    } finally {
      // Also of those that were revoked before it came to an end: gateways may have cached them.
      if (last) forgotten = await forgetRevoked(issuing, { ...record, ...whose(wanted, last, issuing) });
      report.end(forgotten);
    }
    if (report.found === 0) throw new Error(nothing);
    return report.unreadable === 0 ? (forgotten?.exitCode ?? exitCodes.success) : exitCodes.fault;
  });
}

/** As the revocation list names them. */
function whose(wanted: Wanted, { token }: RevokedToken, { judge }: Issuing): Pick<Entry, 'kind' | 'name'> {
  return wanted.kind === 'user'
    ? { kind: 'user', name: judge(token.user).user.username }
    : { kind: 'token', name: token.digest };
}
