import type { Claims } from './claims.ts';

/** What a token says of itself, before its signature was checked: good for choosing a key and for a refusal, for nothing else. */
export interface UnverifiedToken {
  readonly issuer: string;
  readonly claims: Claims;
}

/** JWS Compact Serialization (RFC 7515 section 7.1): three parts of base64url. A JOSE header in JSON begins with `{"`. */
const compact = /^eyJ[\w-]+\.([\w-]+)\.([\w-]+)$/;

/**
 * Reads a token. Its signature must be spelled as RFC 4648 section 3.5 demands, with no bits left over: else sixteen texts
 * would be the same token, and a block of one would not stop the others.
 *
 * @returns undefined for what is no signed JWT with an `iss`. It never throws.
 */
export function readUnverified(token: string): UnverifiedToken | undefined {
  const [, payload, signature = ''] = compact.exec(token) ?? [];
  if (payload === undefined) return undefined;
  if (Buffer.from(signature, 'base64url').toString('base64url') !== signature) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return undefined;
    const { iss: issuer } = claims as Claims;
    return typeof issuer === 'string' ? { issuer, claims: claims as Claims } : undefined;
  } catch {
    return undefined;
  }
}
