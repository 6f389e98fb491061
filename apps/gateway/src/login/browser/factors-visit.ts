import type { BrowserState } from '../attempts/attempt.ts';
import type { FactorGrant } from '../factors/enrolment.ts';
import { type FactorRecord, listedFactors } from '../factors/factor-record.ts';
import { enrolmentEnded } from '../login-error.ts';
import { requireUnrevoked } from '../new-factor.ts';
import { factorsPage } from '../pages/factors-page.ts';
import type { FactorNotice, FactorsProblem } from '../pages/texts.ts';
import { factorUser, fromFactors, requireFactors } from '../prove-factor.ts';
import { changeNext, keepChallenge, type LoginWithNext, loginWithNext } from './next-page.ts';
import { describeForm, type PageRequest, readState, sendTo, showPage } from './page-request.ts';

/** A person who may change their factors. */
export interface FactorsVisit {
  readonly page: PageRequest;
  readonly state: BrowserState;
  readonly login: LoginWithNext<'manage'>;
  readonly record: FactorRecord;
}

/** Shows the second factors of a person. */
export async function showFactors(page: PageRequest): Promise<void> {
  const visit = await readVisit(page, readState(page, page.attempt.id));
  if (visit === undefined) return;
  const { querystring } = page.context;
  const notice = notices.find((text) => text === querystring);
  await showFactorsPage(visit, { notice });
}

const notices: readonly FactorNotice[] = ['added', 'removed'];

/**
 * Finds the visit of this browser.
 *
 * @returns undefined if the browser was sent somewhere
 * @throws LoginError after a reset, and for a user who was revoked or blocked since they logged in
 */
export async function readVisit(
  page: PageRequest,
  state: BrowserState | undefined,
): Promise<FactorsVisit | undefined> {
  const { service, facts } = page;
  const login = await loginWithNext(page, state, 'manage');
  if (state === undefined || login === undefined) return undefined;
  const { proof, next } = login;
  requireUnrevoked(page, login);
  const { store } = requireFactors(service).secondFactor;
  const record = await fromFactors(service, () => store.read(factorUser(proof)));
  const { grant } = next;
  if (record?.id === grant.record && record.version === grant.version)
    return { page, state, login, record };
  facts.reason = 'reset';
  throw enrolmentEnded();
}

/**
 * Keeps the right to go on, after a change.
 *
 * @param revision of the revocation list, if the change has ended the logins in progress: this one goes on
 * @returns false if the person may not go on, such as after a login in another tab
 */
export function keepGrant(
  { page, state, login }: FactorsVisit,
  grant: FactorGrant,
  revision = login.revision,
): Promise<boolean> {
  const { proof } = login;
  return changeNext(page, state, login, { proof, next: { kind: 'manage', grant }, revision });
}

const statusOf = {
  last: 409,
  unknown: 404,
  duplicate: 409,
  'too-many-factors': 409,
  'wrong-passkey': 401,
  'too-many': 429,
} as const satisfies Readonly<Record<FactorsProblem, number>>;

interface ChangeOutcome {
  readonly notice?: FactorNotice | undefined;
  readonly problem?: FactorsProblem;
}

/** Shows the list of their factors. @param problem why they were not changed */
export async function showFactorsPage(
  { page, state, login, record }: FactorsVisit,
  { notice, problem }: ChangeOutcome,
): Promise<void> {
  const { secondFactor, passkeys } = requireFactors(page.service);
  const { methods } = secondFactor;
  const { proof } = login;
  const passkey = methods.includes('passkey')
    ? passkeys.beginRegistration(factorUser(proof), record)
    : undefined;
  if (passkey && !(await keepChallenge(page, state, login, passkey.challenge)))
    return sendTo(page, page.path);
  const factors = factorsPage({
    ...describeForm(page, state),
    username: proof.user.username,
    isInvited: login.next.grant.invitation !== undefined,
    factors: listedFactors(record),
    recoveryCodes: record.recovery.length,
    methods,
    passkey,
    notice,
    problem,
  });
  showPage(page, factors, problem && statusOf[problem]);
}
