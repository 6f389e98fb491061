import { describeCause } from '../config/problems.ts';
import type { FactorUser, PasskeyFactor } from './factors/factor-record.ts';
import { multipleFactors } from './factors/policy.ts';
import type { CodeResult, FactorNeed } from './factors/second-factor.ts';
import {
  factorNotEnrolled,
  LoginError,
  noFactor,
  noSecondFactor,
  secondFactorRequired,
  uncheckedLogin,
  wrongCredentials,
} from './login-error.ts';
import { type LoginFacts, requiredReason } from './login-facts.ts';
import type { FactorParts, LoginService } from './login-service.ts';
import type { Proof } from './proof.ts';

/** Returns the user whose second factor a login needs. */
export function factorUser({
  authenticator,
  backendUser,
  user,
}: Pick<Proof, 'authenticator' | 'backendUser' | 'user'>): FactorUser {
  const { username, uid } = backendUser;
  return { authenticator, username, ...(uid !== undefined && { uid }), name: user.username };
}

/** What the login server needs for second factors. @throws LoginError if it has none */
export function requireFactors({ factors }: LoginService): FactorParts {
  if (factors === undefined) throw noSecondFactor();
  return factors;
}

/**
 * Finds out what a user must prove after the password.
 *
 * @throws LoginError if the store can't be asked: then it is not known whether they have a second factor
 */
export function findNeed(service: LoginService, proof: Proof): Promise<FactorNeed> {
  const { factors } = service;
  if (factors === undefined && service.config.secondFactor !== undefined)
    throw new Error('login.secondFactor has no store');
  if (factors === undefined) return Promise.resolve({ kind: 'nothing' });
  return fromFactors(service, () =>
    factors.secondFactor.findNeed(factorUser(proof), proof.user.groups ?? []),
  );
}

/** Asks for second factors, and logs why it failed. @throws LoginError if it did, or as `work` does */
export function fromFactors<Result>(
  { logger }: LoginService,
  work: () => Promise<Result>,
): Promise<Result> {
  return work().catch((error: unknown) => {
    if (error instanceof LoginError) throw error;
    logger.warn({ reason: describeCause(error) }, 'second factor could not be checked');
    // Only a right password, or an enrolment that followed one, comes as far as here.
    throw uncheckedLogin(true);
  });
}

/** @throws LoginError for a user who must have a second factor, and has none that can be used */
export function requireUsable(
  service: LoginService,
  need: FactorNeed,
  proof: Proof,
  facts: LoginFacts,
): asserts need is Exclude<FactorNeed, { kind: 'refused' }> {
  if (need.kind !== 'refused') return;
  facts.reason = `second-factor-${need.reason}`;
  facts.username = proof.user.username;
  const { authenticator, user } = proof;
  const fields = { authenticator, username: user.username };
  if (need.reason === 'foreign-record')
    service.logger.warn(
      fields,
      'record of a second factor was not written by a gateway with these sealing keys',
    );
  if (need.reason === 'no-uid')
    service.logger.warn(
      fields,
      "user refused: without their uid, it can't be known whether they have a second factor",
    );
  throw factorNotEnrolled();
}

/**
 * Checks the second factor of a login at a terminal, after the password was right.
 *
 * @param code undefined: the client has not asked for one yet
 * @returns the proof with both factors, or as it was for a user who needs none
 * @throws LoginError
 */
export async function proveFactor(
  service: LoginService,
  proof: Proof,
  code: string | undefined,
  signal: AbortSignal,
  facts: LoginFacts,
): Promise<Proof> {
  const need = await findNeed(service, proof);
  requireUsable(service, need, proof, facts);
  if (need.kind === 'nothing') {
    if (code === undefined) return proof;
    // The user means to have one. It may be that the config has lost its section.
    facts.reason = 'no-second-factor';
    throw noFactor();
  }
  if (code === undefined) {
    facts.reason = requiredReason;
    facts.username = proof.user.username;
    throw secondFactorRequired(need.methods);
  }
  return proveCode(service, proof, code, signal, facts);
}

/** Checks a code of a user who has a second factor. @throws LoginError if it is wrong, or could not be checked */
export async function proveCode(
  service: LoginService,
  proof: Proof,
  code: string,
  signal: AbortSignal,
  facts: LoginFacts,
): Promise<Proof> {
  const { factors } = service;
  if (factors === undefined) throw noFactor();
  const checked = await fromFactors(service, () =>
    factors.secondFactor.checkCode(factorUser(proof), code, signal),
  );
  facts.username = proof.user.username;
  if (checked.kind === 'wrong') {
    facts.reason = `second-factor-${checked.reason}`;
    const { minutes } = checked;
    // It may be the clock of the server, and then everyone is refused. The person must not learn which part was wrong.
    if (minutes !== undefined)
      service.logger.warn(
        { authenticator: proof.authenticator, username: proof.user.username, minutes },
        'code of a second factor is of another time',
      );
    throw wrongCredentials(true);
  }
  return withFactor(proof, checked.method, facts);
}

type ProvenMethod = Extract<CodeResult, { kind: 'right' }>['method'] | 'passkey';

/** Notes the second factor of a login. @param key the passkey that was used */
export function withFactor(
  proof: Proof,
  method: ProvenMethod,
  facts: LoginFacts,
  key?: Pick<PasskeyFactor, 'isSynced'>,
): Proof {
  facts.factor = method;
  // RFC 8176, section 2: a recovery code is a one-time password as well.
  const methods = key === undefined ? ['otp'] : [key.isSynced ? 'swk' : 'hwk', 'user'];
  return { ...proof, amr: ['pwd', ...methods, multipleFactors] };
}
