import type { IssuedToken, UserInfo } from '@sallyport/authenticator';
import type { Breach, JudgedUser } from '../../chain/identity-policy.ts';

/** What comes of a token that is used now. */
type TokenState = 'good' | 'not yet valid' | 'expired' | 'revoked' | 'refused by policy';

/** A token as commands tell it. */
export interface SeenToken {
  readonly issued: IssuedToken;
  /** As Kubernetes sees them. */
  readonly user: UserInfo;
  readonly state: TokenState;
  /** The rule of the identity policy that it breaks. */
  readonly breach?: Breach;
}

/** @param now milliseconds since 1970 */
export function seeToken(issued: IssuedToken, judge: (user: UserInfo) => JudgedUser, now: number): SeenToken {
  const judged = judge(issued.user);
  return { issued, ...judged, state: stateOf(issued, judged, now) };
}

/** Of several states, the one that no edit of the config mends comes first. */
function stateOf({ revoked, expiresAt, notBefore }: IssuedToken, { breach }: JudgedUser, now: number): TokenState {
  if (revoked !== undefined) return 'revoked';
  if (expiresAt !== undefined && expiresAt.getTime() <= now) return 'expired';
  if (breach !== undefined) return 'refused by policy';
  if (notBefore !== undefined && notBefore.getTime() > now) return 'not yet valid';
  return 'good';
}

/**
 * A token in JSON: `user` as Kubernetes sees them, `record` as the backend knows them. What is not known is left out, as
 * in the contract of plugins, and so is what else a plugin may hang on its objects.
 */
export function toJson({ issued, user, state, breach }: SeenToken, authenticator: string): object {
  const { digest, audiences, notBefore, expiresAt, issuedAt, issuedBy, reason, lastUsedAt, revoked } = issued;
  return {
    ...{ authenticator, digest, state, breach, user: userJson(user), record: userJson(issued.user) },
    ...{ audiences, notBefore, expiresAt, issuedAt, issuedBy, reason, lastUsedAt },
    ...(revoked && { revoked: { at: revoked.at, by: revoked.by, reason: revoked.reason } }),
  };
}

function userJson({ username, uid, groups, extra }: UserInfo): object {
  return { username, uid, groups, extra };
}

/** The first digits of a digest: enough for eyes, and for `revoke`. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 12);
}

/** `2030-01-31T12:00:00.000Z`, or without the milliseconds where there are none. */
export function timeText(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z');
}
