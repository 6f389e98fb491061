/** A JWT says this of itself. It may choose who is asked, or refuse the token, and decides nothing else. */
export interface UnverifiedJwt {
  /** The claim `iss`. */
  readonly issuer: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/**
 * A signed JWT has three parts of base64url (RFC 7515 section 7.1). The first is a JOSE header in
 * JSON, which begins with `{"`.
 */
const compact = /^eyJ[\w-]+\.([\w-]+)\.([\w-]+)$/;

/**
 * Reads a token without checking its signature. The signature must be spelled as RFC 4648 section 3.5 demands, with no bits left
 * over: else sixteen texts would be the same token, and a block of one would not stop the others.
 *
 * @returns undefined for what is not a signed JWT with an `iss`. It never throws
 */
export function readUnverifiedJwt(token: string): UnverifiedJwt | undefined {
  const [, payload, signature = ''] = compact.exec(token) ?? [];
  if (payload === undefined) return undefined;
  if (Buffer.from(signature, 'base64url').toString('base64url') !== signature) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return undefined;
    const { iss: issuer } = claims as UnverifiedJwt['claims'];
    return typeof issuer === 'string'
      ? { issuer, claims: claims as UnverifiedJwt['claims'] }
      : undefined;
  } catch {
    return undefined;
  }
}

/** At most this many characters of an `iss` are quoted: anyone may have written it. */
const maxQuotedLength = 200;

/**
 * Says why a token that looks like a JWT is of none of these issuers, to follow "the token". It quotes the `iss` of the token and no
 * more of it.
 *
 * @returns undefined for what does not look like a JWT
 */
export function whyUnknownIssuer(token: string, issuers: readonly string[]): string | undefined {
  if (!token.startsWith('eyJ')) return undefined;
  const unverified = readUnverifiedJwt(token);
  if (/^eyJ[\w-]+\.[\w-]+\.$/.test(token))
    return 'is a JWT without a signature (alg none), which is never accepted: get a signed one from its issuer';
  if (/^eyJ[\w-]+(\.[\w-]*){4}$/.test(token))
    return 'is an encrypted JWT, which no authenticator can read: let its issuer sign it, and not encrypt it';
  if (unverified === undefined)
    return 'begins like a JWT, but is not a whole one with an issuer (iss) and a signature: was it cut off?';
  const issuer = unverified.issuer.slice(0, maxQuotedLength);
  const quoted = JSON.stringify(issuer) + (unverified.issuer.length > maxQuotedLength ? '...' : '');
  const near =
    issuers.find((trusted) => plain(trusted) === plain(issuer)) ??
    issuers.find((trusted) => isOneHost(trusted, issuer));
  const nearest = near === undefined ? '' : `; the nearest one there is ${near}`;
  return `is a JWT of the issuer ${quoted} (iss), which is not in the options${nearest}: write it there as the token has it, or get a token of one that is there`;
}

/** Drops from an issuer what is easily mistaken in it. */
function plain(issuer: string): string {
  return issuer
    .trim()
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/+$/, '');
}

function isOneHost(url: string, otherUrl: string): boolean {
  const host = URL.parse(url)?.host;
  return host !== undefined && host !== '' && host === URL.parse(otherUrl)?.host;
}
