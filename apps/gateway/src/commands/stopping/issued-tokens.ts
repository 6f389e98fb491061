import type { Revocation, TokenSelection } from '@sallyport/authenticator';
import { causeOf } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { printable } from '../../logging/printable.ts';
import { type IssuingAuthenticator, issuesTokens } from '../../runtime/create-token-issuer.ts';
import { issuingOf, withIssuer } from '../token/issuing.ts';
import type { Subject } from './whom.ts';

/** What became of the tokens that one authenticator has issued to somebody. */
export interface IssuedOutcome {
  readonly authenticator: string;
  readonly revoked: number;
  /** They were before. */
  readonly already: number;
  /** Records that can't be read: they may be theirs, and authenticate nobody. */
  readonly unreadable: number;
  /** Why not all could be revoked. */
  readonly problem?: string;
}

/** Revokes the issued tokens of a user, or one, with every authenticator that may have some. All at once. Never rejects. */
export function revokeIssued(
  config: GatewayConfig,
  subject: Subject,
  revocation: Revocation,
): Promise<readonly IssuedOutcome[]> {
  const asked = config.authenticators.filter(issuesTokens).flatMap((authenticator) => {
    const selection = selectionOf(subject, authenticator);
    return selection === undefined ? [] : [{ authenticator, selection }];
  });
  return Promise.all(
    asked.map(({ authenticator, selection }) => revokeWith(config, authenticator, selection, revocation)),
  );
}

/** @returns undefined for what the authenticator can't have issued */
function selectionOf({ kind, name, token }: Subject, authenticator: IssuingAuthenticator): TokenSelection | undefined {
  if (token !== undefined) return { token };
  const { prefix } = authenticator.username;
  const isTheirs = kind === 'user' && name.startsWith(prefix) && name !== prefix;
  return isTheirs ? { username: name.slice(prefix.length) } : undefined;
}

async function revokeWith(
  config: GatewayConfig,
  authenticator: IssuingAuthenticator,
  selection: TokenSelection,
  revocation: Revocation,
): Promise<IssuedOutcome> {
  const counts = { revoked: 0, already: 0, unreadable: 0 };
  const issuing = issuingOf(config, { authenticator, isOneOfSeveral: true });
  try {
    await withIssuer(issuing, async (issuer) => {
      for await (const one of issuer.revoke(selection, revocation)) {
        counts['fault' in one ? 'unreadable' : one.already ? 'already' : 'revoked']++;
      }
    });
    return { authenticator: authenticator.name, ...counts };
  } catch (error) {
    return { authenticator: authenticator.name, ...counts, problem: causeOf(error) };
  }
}

/** `2 issued tokens of authenticator robots revoked, 1 was before.` */
export function issuedLine({ authenticator, revoked, already }: IssuedOutcome): string {
  const tokens = revoked === 1 ? 'issued token' : 'issued tokens';
  return `${revoked} ${tokens} of authenticator ${authenticator} revoked${already === 0 ? '' : `, ${already} before`}.\n`;
}

export function issuedRemarks({ authenticator, unreadable, problem }: IssuedOutcome): readonly string[] {
  const records = unreadable === 1 ? 'record is' : 'records are';
  return [
    ...(problem === undefined ? [] : [`not all tokens of authenticator ${authenticator} are revoked: ${problem}`]),
    ...(unreadable === 0
      ? []
      : [`${unreadable} ${records} unreadable with authenticator ${printable(authenticator)}, so it may be theirs`]),
  ];
}
