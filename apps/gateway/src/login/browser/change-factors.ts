import { endUserLogins } from '../ended-login.ts';
import { listedFactors } from '../factors/factor-record.ts';
import { enrolmentEnded } from '../login-error.ts';
import { recoveryCodesPage } from '../pages/recovery-codes-page.ts';
import { factorUser, fromFactors, requireFactors } from '../prove-factor.ts';
import { addPasskey, beginApp, finishApp } from './add-factor.ts';
import { type FactorsVisit, keepGrant, readVisit, showFactorsPage } from './factors-visit.ts';
import { PageError } from './page-error.ts';
import { type PageRequest, readPageForm, sendTo, showPage } from './page-request.ts';

/** Does what a person has chosen on the page of their factors. */
export async function changeFactors(page: PageRequest): Promise<void> {
  const { state, form } = await readPageForm(page);
  const visit = await readVisit(page, state);
  if (visit === undefined) return;
  const act = actions.get(form.get('action') ?? '');
  if (act === undefined) throw new PageError('bad-request', 400, `${page.path}/factors`);
  await act(visit, form);
}

type Action = (visit: FactorsVisit, form: URLSearchParams) => Promise<void>;

const actions: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['app', beginApp],
  ['app-code', finishApp],
  ['passkey', addPasskey],
  ['remove', remove],
  ['recovery', renewRecoveryCodes],
]);

async function remove(visit: FactorsVisit, form: URLSearchParams): Promise<void> {
  const { page, login, record } = visit;
  const { service, facts } = page;
  const { enrolment } = requireFactors(service);
  const id = form.get('id') ?? '';
  facts.factor = listedFactors(record).find((factor) => factor.id === id)?.method;
  const result = await fromFactors(service, () =>
    enrolment.remove(factorUser(login.proof), login.next.grant, id),
  );
  if (result.kind === 'removed') {
    const revision = await endOtherLogins(visit, 'second factor removed');
    await keepGrant(visit, result.grant, revision);
    return sendTo(page, `${page.path}/factors?removed`);
  }
  facts.reason = result.kind;
  if (result.kind === 'ended') throw enrolmentEnded();
  await showFactorsPage(visit, { problem: result.kind });
}

async function renewRecoveryCodes(visit: FactorsVisit): Promise<void> {
  const { page, login } = visit;
  const { service, facts, path } = page;
  const { enrolment } = requireFactors(service);
  facts.factor = 'recovery-code';
  const result = await fromFactors(service, () =>
    enrolment.renewRecoveryCodes(factorUser(login.proof), login.next.grant),
  );
  if (result.kind === 'renewed') {
    const revision = await endOtherLogins(visit, 'recovery codes renewed');
    // The codes are shown once. An outage of the other Redis must not lose them.
    await keepGrant(visit, result.grant, revision).catch(() => false);
    return showPage(
      page,
      recoveryCodesPage({ path, codes: result.recoveryCodes, areRenewed: true }),
    );
  }
  facts.reason = result.kind;
  throw enrolmentEnded();
}

/**
 * Ends the logins in progress that the removed factor or code may have proved.
 *
 * @returns the revision from which this one goes on. Undefined: nothing has changed for it
 */
async function endOtherLogins(
  { page, login }: FactorsVisit,
  reason: string,
): Promise<number | undefined> {
  const { username } = login.proof.user;
  const ended = await endUserLogins(page.service, username, reason, page.signal);
  // This replica may not know yet that an administrator has ended this login as well.
  return ended && ended.previousRevision <= login.revision ? ended.revision : undefined;
}
