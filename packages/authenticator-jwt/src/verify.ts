import { AuthenticatorError, type RejectionReason } from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import { decodeProtectedHeader, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Claims, TokenProblem } from './claims.ts';
import type { KeySet } from './key-set.ts';
import type { IssuerOptions } from './options.ts';

/**
 * A refusal of a token. Its problem quotes nothing of the token but its times, and its audiences if
 * the signature is valid.
 */
export interface Refusal extends TokenProblem {
  readonly reason: RejectionReason;
  /** The claims are left out where it is not known whether the issuer has signed the token. */
  readonly claims?: Claims;
}

/** A token without a key id is checked with at most this many keys: each check costs as much as a signature does. */
const maxKeys = 4;

/**
 * Checks the signature of a token and the claims that every token has.
 *
 * @param unverified the token, with what it says of itself
 * @param at milliseconds since 1970
 * @returns its claims, or why it is refused: a refusal has a `reason`
 * @throws AuthenticatorError when the keys of its issuer could not be read
 */
export async function verify(
  unverified: { readonly token: string; readonly claims: Claims },
  issuer: IssuerOptions,
  keys: KeySet,
  signal: AbortSignal,
  at: number,
): Promise<{ readonly claims: Claims } | Refusal> {
  // What a token says of itself is enough to refuse it, even while the issuer is down.
  const { token } = unverified;
  const { exp } = unverified.claims;
  if (typeof exp === 'number' && exp * 1000 + issuer.clockTolerance <= at) {
    return expiredAt(exp, at, await claimsIfSigned(token, issuer, keys, at));
  }
  const known = await verifyWith(await keys.current(signal), token, issuer, at);
  if (known !== 'unknown key') return known;
  const newer = await keys.newer(signal);
  const found = newer === undefined ? 'unknown key' : await verifyWith(newer, token, issuer, at);
  return found === 'unknown key'
    ? { reason: 'invalid-credentials', problem: 'its signature is of no key of the issuer' }
    : found;
}

/**
 * Reads the claims of a token that is refused in any case, without a request to the issuer.
 *
 * @returns undefined unless a key in force has signed it
 */
async function claimsIfSigned(token: string, issuer: IssuerOptions, keys: KeySet, at: number) {
  const inForce = keys.inForce();
  const verified =
    inForce && (await verifyWith(inForce, token, issuer, at).catch(() => 'unknown key' as const));
  return verified === undefined || verified === 'unknown key' ? undefined : verified.claims;
}

async function verifyWith(
  keyOf: JWTVerifyGetKey,
  token: string,
  issuer: IssuerOptions,
  at: number,
): Promise<{ readonly claims: Claims } | Refusal | 'unknown key'> {
  const options = {
    issuer: issuer.url,
    audience: [...issuer.audiences],
    algorithms: [...issuer.algorithms],
    requiredClaims: ['exp'],
    clockTolerance: issuer.clockTolerance / 1000,
    currentDate: new Date(at),
    ...(issuer.typ !== undefined && { typ: issuer.typ }),
    ...(issuer.maxTokenAge !== undefined && { maxTokenAge: issuer.maxTokenAge / 1000 }),
  };
  try {
    const { payload } = await jwtVerify(token, keyOf, options);
    return checkIssuedAt(payload, issuer, at) ?? { claims: payload };
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return 'unknown key';
    // Without a key id, this key may be an old one.
    if (error instanceof errors.JWSSignatureVerificationFailed && !hasKeyId(token))
      return 'unknown key';
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return refusalOf(error, issuer, at);
    let checked = 0;
    for await (const key of error) {
      if (checked++ === maxKeys) break;
      try {
        const { payload } = await jwtVerify(token, key, options);
        return checkIssuedAt(payload, issuer, at) ?? { claims: payload };
      } catch (inner) {
        if (!(inner instanceof errors.JWSSignatureVerificationFailed))
          return refusalOf(inner, issuer, at);
      }
    }
    return 'unknown key';
  }
}

function hasKeyId(token: string): boolean {
  return decodeProtectedHeader(token).kid !== undefined;
}

/** Refuses a token that was issued in the future, which jose accepts. */
function checkIssuedAt(
  claims: Claims,
  { clockTolerance }: IssuerOptions,
  at: number,
): Refusal | undefined {
  const { iat } = claims;
  if (typeof iat !== 'number' || iat * 1000 <= at + clockTolerance) return undefined;
  return issuedLater(iat, at, claims);
}

const issuedLater = (iat: number, at: number, claims: Claims): Refusal => ({
  reason: 'not-yet-valid',
  problem: `it was issued in the future (iat): ${differenceText(iat, at)}. Check the clocks`,
  claims,
});

const expiredAt = (exp: number, at: number, claims: Claims | undefined): Refusal => ({
  reason: 'expired',
  problem: `it has expired (exp): ${differenceText(exp, at)}`,
  ...(claims && { claims }),
});

/**
 * Makes a refusal of an error of jose.
 *
 * @param at milliseconds since 1970.
 * @throws AuthenticatorError for an error that says nothing of the token: a key that can't be used
 */
function refusalOf(error: unknown, issuer: IssuerOptions, at: number): Refusal {
  // jose checks the signature before it reads any claim, so `payload` is what the issuer has signed.
  if (error instanceof errors.JWTExpired) {
    const { claim, payload: claims } = error;
    if (claim === 'exp') return expiredAt(Number(claims.exp), at, claims);
    const problem = `it is older than maxTokenAge (iat): ${differenceText(Number(claims.iat), at)}`;
    return { reason: 'expired', problem, claims };
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason, payload: claims } = error;
    const { nbf, iat } = claims;
    if (reason === 'check_failed' && claim === 'iat') return issuedLater(Number(iat), at, claims);
    if (reason === 'check_failed' && claim === 'nbf') {
      const problem = `it is not valid yet (nbf): ${differenceText(Number(nbf), at)}`;
      return { reason: 'not-yet-valid', problem, claims };
    }
    const problem = `its ${claim} is ${reason === 'missing' ? 'missing' : 'not what the config demands'}`;
    if (claim === 'aud') {
      return {
        reason: 'audience-mismatch',
        problem: wrongAudience(claims.aud, issuer) ?? problem,
        claims,
      };
    }
    return { reason: claim === 'nbf' ? 'not-yet-valid' : 'invalid-credentials', problem, claims };
  }
  if (error instanceof errors.JOSEError) {
    return { reason: 'invalid-credentials', problem: `it is refused: ${error.code}` };
  }
  const problem = "a key of the issuer can't be used for this token: RSA keys need 2048 bits";
  throw new AuthenticatorError('failed', problem, { cause: error });
}

/**
 * Words a time of a token, next to the clock:
 * `3m ago, at 2030-01-01T00:00:00Z; the clock here says 2030-01-01T00:03:00Z`.
 *
 * @param time seconds since 1970
 */
function differenceText(time: number, at: number): string {
  const span = durationText(Math.round(Math.abs(at / 1000 - time)) * 1000);
  const when = time * 1000 <= at ? `${span} ago` : `in ${span}`;
  return `${when}, at ${timeText(time * 1000)}; the clock here says ${timeText(at)}`;
}

/** Writes a time in UTC. A token may have any number for a time. */
function timeText(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime())
    ? 'a time that no calendar has'
    : date.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** A message lists at most this many audiences, and this many characters of each. */
const [maxAudiences, maxAudienceLength] = [20, 256];

/**
 * Lists the audiences of a token and of the config.
 *
 * @returns undefined for an `aud` that is not a text or a list of texts
 */
function wrongAudience(aud: unknown, { audiences }: IssuerOptions): string | undefined {
  const own = [aud].flat();
  if (own.length === 0 || !own.every((one) => typeof one === 'string')) return undefined;
  const listed = own
    .slice(0, maxAudiences)
    .map((one) => JSON.stringify(one.slice(0, maxAudienceLength)));
  return `the token is for the audiences ${listed.join(', ')} (aud), and issuer.audiences has only ${audiences.join(', ')}`;
}
