import type { Authenticator, Decision } from '@sallyport/authenticator';
import { judgingOnceLayer } from './layer.ts';

/** What is put beside each identity, so that kube-apiserver's audit log can be joined with ours. */
export interface Provenance {
  /** The domain of the `extra` keys, such as `sallyport.example.com`. */
  readonly keyPrefix: string;
  /** What the audit trail has in `fingerprint` for a token. */
  readonly fingerprint: (token: string) => string;
}

/**
 * Adds to `extra` which authenticator answered and which token it was asked about. It is outside of the identity policy,
 * which refuses any identity of a backend that has such a key already: only the gateway can set them.
 */
export function withProvenance(inner: Authenticator, authenticator: string, provenance: Provenance): Authenticator {
  const { keyPrefix, fingerprint } = provenance;
  const stamp = (decision: Decision, credential: string): Decision => {
    if (decision.kind !== 'authenticated') return decision;
    const extra = {
      ...decision.user.extra,
      [`${keyPrefix}/authenticator`]: [authenticator],
      [`${keyPrefix}/credential`]: [credential],
    };
    return { ...decision, user: { ...decision.user, extra } };
  };
  return judgingOnceLayer(inner, fingerprint, stamp);
}
