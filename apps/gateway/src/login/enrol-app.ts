import { z } from 'zod';
import type { FactorGrant } from './factors/enrolment.ts';
import {
  enrolmentEnded,
  invitationRequired,
  noSecondFactor,
  secondFactorRequired,
  wrongInvitation,
} from './login-error.ts';
import { requiredReason } from './login-report.ts';
import type { LoginLimits, LoginRequest } from './login-request.ts';
import {
  countLogin,
  credentials,
  type Proof,
  parseBody,
  provePassword,
  shortName,
} from './login-service.ts';
import { addedOrThrow, defaultLabels } from './new-factor.ts';
import { factorUser, fromFactors, needOf, proveCode, requireFactors } from './prove-factor.ts';

const text = z.string().min(1);

const beginBody = z.strictObject({
  ...credentials,
  invitation: text.max(64).optional(),
  code: text.max(64).optional(),
  label: shortName.optional(),
});

const finishBody = z.strictObject({ enrolment: text.max(8_192), code: text.max(64) });

const fields =
  'username and password, with invitation or code, and label (at most 64 characters); or enrolment and code';

/**
 * Adds an authenticator app at a terminal. The first request proves who it is, and gets the secret. The second one has the first
 * code of the app.
 */
export async function enrolApp(
  request: LoginRequest,
  body: unknown,
  { logins }: Pick<LoginLimits, 'logins'>,
): Promise<void> {
  const { context, service, signal, known: facts } = request;
  const { secondFactor, apps } = requireFactors(service);
  if (!secondFactor.methods.includes('totp')) throw noSecondFactor();
  const isFinish = typeof body === 'object' && body !== null && Object.hasOwn(body, 'enrolment');
  if (isFinish) {
    facts.action = 'add-factor';
    const asked = parseBody(finishBody, body, 'enrolment and code', fields);
    const begun = apps.read(asked.enrolment);
    if (begun === undefined) throw enrolmentEnded();
    Object.assign(facts, {
      authenticator: begun.user.authenticator,
      username: begun.user.name,
      factor: 'totp',
    });
    const { factor, recoveryCodes } = addedOrThrow(
      request,
      await fromFactors(service, () => apps.finish(begun, asked.code)),
    );
    context.status = 201;
    const { id, method, name } = factor;
    context.body = { factor: { id, method, name }, ...(recoveryCodes && { recoveryCodes }) };
    return;
  }
  const asked = parseBody(beginBody, body, 'username and password', fields);
  const proof = await provePassword(service, asked, signal, facts);
  countLogin(logins, proof);
  facts.username = proof.named.username;
  const grant = await grantOf(request, proof, asked);
  const label = asked.label ?? defaultLabels.totp;
  const { secret, uri, enrolment: sealed, until } = apps.begin(factorUser(proof), grant, label);
  context.body = { secret, uri, enrolment: sealed, expiresAt: new Date(until) };
}

interface MoreThanPassword {
  readonly invitation?: string | undefined;
  readonly code?: string | undefined;
}

/**
 * Gives a user the right to change their second factors. The password was right; they need an invitation or a factor as well.
 *
 * @throws LoginError
 */
async function grantOf(
  { service, signal, known: facts }: LoginRequest,
  proof: Proof,
  { invitation, code }: MoreThanPassword,
): Promise<FactorGrant> {
  const { secondFactor, enrolment } = requireFactors(service);
  const user = factorUser(proof);
  if (!secondFactor.policy.isCovered(user.authenticator)) throw noSecondFactor();
  if (invitation !== undefined) {
    const record = await fromFactors(service, () => secondFactor.store.read(user));
    const grant = enrolment.grant(record, invitation);
    if (grant !== undefined) return grant;
    facts.reason = 'wrong-invitation';
    throw wrongInvitation();
  }
  const need = await needOf(service, proof);
  if (need.kind !== 'factor') {
    facts.reason = need.kind === 'refused' ? `second-factor-${need.reason}` : 'no-invitation';
    throw invitationRequired();
  }
  if (code === undefined) {
    facts.reason = requiredReason;
    throw secondFactorRequired(need.methods);
  }
  await proveCode(service, proof, code, signal, facts);
  const grant = enrolment.grant(need.record, undefined);
  if (grant === undefined) throw enrolmentEnded();
  return grant;
}
