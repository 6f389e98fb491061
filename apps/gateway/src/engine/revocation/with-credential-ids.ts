import type { Authenticated, Authenticator } from '@sallyport/authenticator';
import { isMisleading } from '../../base/logging/printable.ts';
import { credentialIdKey } from '../chain/identity-policy.ts';
import { createDecidingLayer } from '../chain/layer.ts';
import { writeCredentialId } from './credential-id.ts';
import { digestToken } from './list.ts';

/**
 * Adds the IDs of the credential to `extra`, under the key that kube-apiserver itself uses. kube-apiserver sends `extra` with each access
 * review, so that a request with a blocked, logged out or revoked credential can be denied. IDs that the backend gave come first.
 *
 * It is outside of blocks and of the identity policy, which lets a backend set the key only with `allowCredentialId`. A review that another
 * gateway forwards gets no IDs: the policy of that gateway would refuse them, and it adds its own.
 *
 * @param isRandom whether no one can guess the token from its digest, which kube-apiserver writes to its audit log: true of sessions
 *   and issued tokens
 */
export function withCredentialIds(
  inner: Authenticator,
  isRandom: (token: string) => boolean,
): Authenticator {
  return createDecidingLayer(inner, (decision, token, { hops }) => {
    if (decision.kind !== 'authenticated' || hops !== undefined) return decision;
    const ids = listIds(decision, isRandom(token) ? token : undefined);
    if (ids.length === 0) return decision;
    const { user } = decision;
    const backendIds = user.extra?.[credentialIdKey] ?? [];
    const extra = { ...user.extra, [credentialIdKey]: [...new Set([...backendIds, ...ids])] };
    return { ...decision, user: { ...user, extra } };
  });
}

function listIds(
  { credential: { jti, sid } = {} }: Authenticated,
  randomToken: string | undefined,
): readonly string[] {
  const ids: string[] = [];
  if (jti) ids.push(writeCredentialId('JTI', jti));
  if (sid) ids.push(writeCredentialId('SID', sid));
  if (randomToken !== undefined) ids.push(writeCredentialId('SALLYPORT', digestToken(randomToken)));
  // An issuer can write anything into its ids, and consoles show `extra`.
  return ids.filter((id) => !isMisleading(id));
}
