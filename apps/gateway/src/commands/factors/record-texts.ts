import {
  type FactorRecord,
  type ListedFactor,
  listedFactors,
} from '../../login/factors/factor-record.ts';
import { areCodesLocked } from '../../login/factors/second-factor.ts';
import { momentText } from '../times.ts';

export type Invitation = NonNullable<FactorRecord['invitation']>;

/** The invitation of a record that can still be used. @param now milliseconds since 1970 */
export function openInvitation({ invitation }: FactorRecord, now: number): Invitation | undefined {
  return invitation !== undefined && invitation.until > now ? invitation : undefined;
}

/** Returns `2 second factors (totp phone, passkey laptop)`. */
export function factorCount(factors: readonly ListedFactor[]): string {
  if (factors.length === 0) return 'no second factor';
  const count = factors.length === 1 ? '1 second factor' : `${factors.length} second factors`;
  return `${count} (${factors.map(({ method, name }) => `${method} ${name}`).join(', ')})`;
}

/** Returns `until 2030-01-31T12:00:00Z, by ada: new phone`. */
export function invitationText({ until, by: inviter, reason }: Invitation): string {
  return `until ${momentText(until)}, by ${inviter}${reason === undefined ? '' : `: ${reason}`}`;
}

/** Makes the JSON of a record, without anything by which its factors could be used. */
export function recordJson(record: FactorRecord, now: number): object {
  const { user, recovery } = record;
  const invitation = openInvitation(record, now);
  return {
    user: user.name,
    authenticator: user.authenticator,
    factors: listedFactors(record).map(({ addedAt, usedAt, ...factor }) => ({
      ...factor,
      addedAt: new Date(addedAt),
      lastUsedAt: usedAt === undefined ? null : new Date(usedAt),
    })),
    recoveryCodes: recovery.length,
    codesLocked: areCodesLocked(record, now),
    invitation: invitation === undefined ? null : invitationJson(invitation),
  };
}

/** Makes the JSON of an invitation, without its code. */
export function invitationJson({ until, at: invitedAt, by: inviter, reason }: Invitation): object {
  return { at: new Date(invitedAt), until: new Date(until), by: inviter, reason };
}
