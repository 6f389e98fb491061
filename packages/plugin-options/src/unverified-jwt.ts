/** What a JWT says of itself: good for choosing who is asked and for a refusal, for nothing else. */
export interface UnverifiedJwt {
  /** `iss`. */
  readonly issuer: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** JWS Compact Serialization (RFC 7515 section 7.1): three parts of base64url. A JOSE header in JSON begins with `{"`. */
const compact = /^eyJ[\w-]+\.([\w-]+)\.([\w-]+)$/;

/**
 * Reads a token without a look at its signature. That must be spelled as RFC 4648 section 3.5 demands, with no bits left
 * over: else sixteen texts would be the same token, and a block of one would not stop the others.
 *
 * @returns undefined for what is no signed JWT with an `iss`. It never throws
 */
export function readUnverifiedJwt(token: string): UnverifiedJwt | undefined {
  const [, payload, signature = ''] = compact.exec(token) ?? [];
  if (payload === undefined) return undefined;
  if (Buffer.from(signature, 'base64url').toString('base64url') !== signature) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return undefined;
    const { iss: issuer } = claims as UnverifiedJwt['claims'];
    return typeof issuer === 'string' ? { issuer, claims: claims as UnverifiedJwt['claims'] } : undefined;
  } catch {
    return undefined;
  }
}
