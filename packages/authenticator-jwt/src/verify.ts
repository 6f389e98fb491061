import { AuthenticatorError, type RejectionReason } from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import { decodeProtectedHeader, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Claims, TokenProblem } from './claims.ts';
import type { KeySet } from './key-set.ts';
import type { IssuerOptions } from './options.ts';

/**
 * A refusal of a token. Its problem quotes nothing of the token but its times, its algorithm, and its audiences if
 * the signature is valid.
 */
export interface TokenRefusal extends TokenProblem {
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
 * @param now milliseconds since 1970
 * @returns its claims, or why it is refused: a refusal has a `reason`
 * @throws AuthenticatorError when the keys of its issuer could not be read
 */
export async function verifyJwt(
  unverified: { readonly token: string; readonly claims: Claims },
  issuer: IssuerOptions,
  keys: KeySet,
  signal: AbortSignal,
  now: number,
): Promise<{ readonly claims: Claims } | TokenRefusal> {
  // What a token says of itself is enough to refuse it, even while the issuer is down.
  const { token } = unverified;
  const { exp } = unverified.claims;
  if (typeof exp === 'number' && exp * 1000 + issuer.clockTolerance <= now) {
    return expiredAt(exp, now, await claimsIfSigned(token, issuer, keys, now));
  }
  const result = await verifyWith(await keys.current(signal), token, issuer, now);
  if (result !== 'unknown key') return result;
  const newer = await keys.newer(signal);
  const newerResult =
    newer === undefined ? 'unknown key' : await verifyWith(newer, token, issuer, now);
  return newerResult === 'unknown key'
    ? {
        reason: 'invalid-credentials',
        problem: `its signature is of no key of the issuer: get a new token; ${compareKeys}`,
      }
    : newerResult;
}

/**
 * Reads the claims of a token that is refused in any case, without a request to the issuer.
 *
 * @returns undefined unless a key in force has signed it
 */
async function claimsIfSigned(token: string, issuer: IssuerOptions, keys: KeySet, now: number) {
  const inForce = keys.inForce();
  const verified =
    inForce && (await verifyWith(inForce, token, issuer, now).catch(() => 'unknown key' as const));
  return verified === undefined || verified === 'unknown key' ? undefined : verified.claims;
}

async function verifyWith(
  findKey: JWTVerifyGetKey,
  token: string,
  issuer: IssuerOptions,
  now: number,
): Promise<{ readonly claims: Claims } | TokenRefusal | 'unknown key'> {
  const options = {
    issuer: issuer.url,
    audience: [...issuer.audiences],
    algorithms: [...issuer.algorithms],
    requiredClaims: ['exp'],
    clockTolerance: issuer.clockTolerance / 1000,
    currentDate: new Date(now),
    ...(issuer.typ !== undefined && { typ: issuer.typ }),
    ...(issuer.maxTokenAge !== undefined && { maxTokenAge: issuer.maxTokenAge / 1000 }),
  };
  try {
    const { payload } = await jwtVerify(token, findKey, options);
    return checkIssuedAt(payload, issuer, now) ?? { claims: payload };
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return 'unknown key';
    // Without a key id, this key may be an old one.
    if (error instanceof errors.JWSSignatureVerificationFailed && !hasKeyId(token))
      return 'unknown key';
    if (!(error instanceof errors.JWKSMultipleMatchingKeys))
      return explainJoseError(error, token, issuer, now);
    let checked = 0;
    for await (const key of error) {
      if (checked++ === maxKeys) break;
      try {
        const { payload } = await jwtVerify(token, key, options);
        return checkIssuedAt(payload, issuer, now) ?? { claims: payload };
      } catch (inner) {
        if (!(inner instanceof errors.JWSSignatureVerificationFailed))
          return explainJoseError(inner, token, issuer, now);
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
  now: number,
): TokenRefusal | undefined {
  const { iat } = claims;
  if (typeof iat !== 'number' || iat * 1000 <= now + clockTolerance) return undefined;
  return issuedLater(iat, now, claims);
}

const issuedLater = (iat: number, now: number, claims: Claims): TokenRefusal => ({
  reason: 'not-yet-valid',
  problem: `it was issued in the future (iat): ${differenceText(iat, now)}. Check the clocks`,
  claims,
});

const expiredAt = (exp: number, now: number, claims: Claims | undefined): TokenRefusal => ({
  reason: 'expired',
  problem: `it has expired (exp): ${differenceText(exp, now)}`,
  ...(claims && { claims }),
});

/**
 * Makes a refusal of an error of jose.
 *
 * @param now milliseconds since 1970.
 * @throws AuthenticatorError for an error that says nothing of the token: a key that can't be used
 */
function explainJoseError(
  error: unknown,
  token: string,
  issuer: IssuerOptions,
  now: number,
): TokenRefusal {
  // jose checks the signature before it reads any claim, so `payload` is what the issuer has signed.
  if (error instanceof errors.JWTExpired) {
    const { claim, payload: claims } = error;
    if (claim === 'exp') return expiredAt(Number(claims.exp), now, claims);
    const problem = `it is older than maxTokenAge (iat): ${differenceText(Number(claims.iat), now)}`;
    return { reason: 'expired', problem, claims };
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason, payload: claims } = error;
    const { nbf, iat } = claims;
    if (reason === 'check_failed' && claim === 'iat') return issuedLater(Number(iat), now, claims);
    if (reason === 'check_failed' && claim === 'nbf') {
      const problem = `it is not valid yet (nbf): ${differenceText(Number(nbf), now)}`;
      return { reason: 'not-yet-valid', problem, claims };
    }
    const isType = claim === 'typ' && issuer.typ !== undefined;
    const problem = isType
      ? `its typ is not ${issuer.typ}, as the option typ demands: get a token of this type`
      : `its ${claim} is ${wordsOfReason[reason] ?? 'not what the config demands'}`;
    if (claim === 'aud') {
      return {
        reason: 'audience-mismatch',
        problem: claims.aud === undefined ? problem : wrongAudience(claims.aud, issuer),
        claims,
      };
    }
    return { reason: claim === 'nbf' ? 'not-yet-valid' : 'invalid-credentials', problem, claims };
  }
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return { reason: 'invalid-credentials', problem: wrongSignature };
  if (error instanceof errors.JOSEAlgNotAllowed) {
    const problem = wrongAlgorithm(decodeProtectedHeader(token).alg, issuer);
    return { reason: 'invalid-credentials', problem };
  }
  if (error instanceof errors.JOSEError) {
    return { reason: 'invalid-credentials', problem: `it is refused: ${error.code}` };
  }
  const problem = "a key of the issuer can't be used for this token: RSA keys need 2048 bits";
  throw new AuthenticatorError('failed', problem, { cause: error });
}

/** Reasons of jose for a claim that it refuses. */
const wordsOfReason: Readonly<Record<string, string>> = {
  missing: 'missing: the issuer must write it into its tokens',
  invalid: 'not a number: the issuer must write a time in seconds',
};

const compareKeys = 'if new tokens fail, compare the key ID (kid) in their header with the keys';

const wrongSignature = `the signature does not verify with this issuer's keys: get a new token, and don't change it when you copy it; ${compareKeys}`;

/** Quotes an algorithm only if it is one: the header of a token is not verified. */
function wrongAlgorithm(alg: unknown, { algorithms }: IssuerOptions): string {
  const [name = ''] = /^(HS|RS|PS|ES)\d{3}$|^EdDSA$|^Ed25519$/.exec(String(alg)) ?? [];
  const fix = name.startsWith('HS')
    ? 'let the issuer sign with one of them, since a shared secret is never accepted'
    : 'let the issuer sign with one of them, or add the algorithm if the option can have it';
  return `its alg${name && ` ${name}`} is not in the option algorithms (${algorithms.join(', ')}): ${fix}`;
}

/**
 * Words a time of a token, next to the clock:
 * `3m ago, at 2030-01-01T00:00:00Z; the clock here says 2030-01-01T00:03:00Z`.
 *
 * @param time seconds since 1970
 */
function differenceText(time: number, now: number): string {
  const span = durationText(Math.round(Math.abs(now / 1000 - time)) * 1000);
  const when = time * 1000 <= now ? `${span} ago` : `in ${span}`;
  return `${when}, at ${timeText(time * 1000)}; the clock here says ${timeText(now)}`;
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

/** Lists the audiences of a token and of the config. */
function wrongAudience(aud: unknown, { audiences }: IssuerOptions): string {
  const tokenAudiences = [aud].flat();
  if (
    tokenAudiences.length === 0 ||
    !tokenAudiences.every((audience) => typeof audience === 'string')
  )
    return `its aud is neither a string nor a list of strings: the issuer must write one of ${audiences.join(', ')}`;
  const listed = tokenAudiences
    .slice(0, maxAudiences)
    .map((audience) => JSON.stringify(audience.slice(0, maxAudienceLength)));
  return `the token is for the audiences ${listed.join(', ')} (aud), and issuer.audiences has only ${audiences.join(', ')}: get a token for one of these, or add one`;
}
