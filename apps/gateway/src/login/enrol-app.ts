import { z } from 'zod';
import type { FactorGrant } from './factors/enrolment.ts';
import {
  enrolmentEnded,
  noSecondFactor,
  secondFactorRequired,
  wrongInvitation,
} from './login-error.ts';
import { addFacts, requiredReason } from './login-facts.ts';
import { countedLogin, type LoginRequest } from './login-request.ts';
import { addApp, addedOrThrow, defaultLabels, grantAfterPassword } from './new-factor.ts';
import type { Proof } from './proof.ts';
import { factorUser, fromFactors, proveCode, requireFactors } from './prove-factor.ts';
import { provePassword } from './prove-password.ts';
import { credentials, parseBody, shortName } from './request-bodies.ts';
import { maxTyped } from './secret-text.ts';

const text = z.string().min(1);

const beginBody = z.strictObject({
  ...credentials,
  invitation: text.max(maxTyped).optional(),
  code: text.max(maxTyped).optional(),
  label: shortName.optional(),
});

const finishBody = z.strictObject({ enrolment: text.max(8_192), code: text.max(maxTyped) });

const fields =
  'username and password, with invitation or code, and label (at most 64 characters); or enrolment and code';

/**
 * Adds an authenticator app at a terminal. The first request proves who it is, and gets the secret. The second one has the first
 * code of the app.
 */
export function enrolApp(request: LoginRequest, body: unknown): Promise<void> {
  const { secondFactor } = requireFactors(request.service);
  if (!secondFactor.methods.includes('totp')) throw noSecondFactor();
  return Object.hasOwn(Object(body), 'enrolment')
    ? finishApp(request, body)
    : beginApp(request, body);
}

async function beginApp(request: LoginRequest, body: unknown): Promise<void> {
  const { context, service, signal, facts } = request;
  const { apps } = requireFactors(service);
  const credentials = parseBody(beginBody, body, 'username and password', fields);
  const { revision } = service.revocations;
  const proof = await provePassword(service, credentials, signal, facts);
  const grant = await countedLogin(request, proof, () => findGrant(request, proof, credentials));
  const label = credentials.label ?? defaultLabels.totp;
  const { since } = proof;
  const begun = apps.begin(factorUser(proof), grant, label, { since, revision });
  const { secret, uri, enrolment, until } = begun;
  context.body = { secret, uri, enrolment, expiresAt: new Date(until) };
}

async function finishApp(request: LoginRequest, body: unknown): Promise<void> {
  const { context, service, facts } = request;
  const { apps } = requireFactors(service);
  facts.action = 'add-factor';
  const { enrolment, code } = parseBody(finishBody, body, 'enrolment and code', fields);
  const begun = apps.read(enrolment);
  if (begun === undefined) throw enrolmentEnded();
  const { user: backendUser, since, revision } = begun;
  const { authenticator, name: username } = backendUser;
  addFacts(facts, { authenticator, username, factor: 'totp' });
  const proof = { authenticator, backendUser, user: { username }, since };
  const result = await fromFactors(service, () =>
    addApp(request, { proof, revision }, begun, code),
  );
  const { factor, recoveryCodes } = addedOrThrow(request, result);
  context.status = 201;
  const { id, method, name } = factor;
  context.body = { factor: { id, method, name }, ...(recoveryCodes && { recoveryCodes }) };
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
async function findGrant(
  request: LoginRequest,
  proof: Proof,
  { invitation, code }: MoreThanPassword,
): Promise<FactorGrant> {
  const { service, signal, facts } = request;
  const afterPassword = await grantAfterPassword(request, proof, invitation);
  if (afterPassword.kind === 'invited') return afterPassword.grant;
  if (invitation !== undefined) {
    facts.reason = 'wrong-invitation';
    throw wrongInvitation();
  }
  if (code === undefined) {
    facts.reason = requiredReason;
    throw secondFactorRequired(afterPassword.methods);
  }
  await proveCode(service, proof, code, signal, facts);
  const grant = requireFactors(service).enrolment.grant(afterPassword.record, undefined);
  if (grant === undefined) throw enrolmentEnded();
  return grant;
}
