import { isDeepStrictEqual } from 'node:util';
import type { AddedFactor, FactorRefusal } from '../factors/enrolment.ts';
import { enrolmentEnded, LoginError, wrongCredentials } from '../login-error.ts';
import { addFacts } from '../login-facts.ts';
import { inSteps, withinLimits } from '../login-request.ts';
import { addApp, addedOrThrow, addUnlessEnded, defaultLabels } from '../new-factor.ts';
import { appPage } from '../pages/app-page.ts';
import { recoveryCodesPage } from '../pages/recovery-codes-page.ts';
import type { FactorsProblem } from '../pages/texts.ts';
import { factorUser, fromFactors, requireFactors } from '../prove-factor.ts';
import { shortName } from '../request-bodies.ts';
import { type FactorsVisit, keepGrant, showFactorsPage } from './factors-visit.ts';
import { takeChallenge } from './next-page.ts';
import { PageError } from './page-error.ts';
import { describeForm, type PageRequest, sendTo, showPage } from './page-request.ts';

/** Reads the name of a new factor. @throws PageError for a name that could mislead */
function readLabel(
  { page }: FactorsVisit,
  form: URLSearchParams,
  method: keyof typeof defaultLabels,
) {
  const label = (form.get('label') ?? '').trim();
  const { data } = shortName.safeParse(label === '' ? defaultLabels[method] : label);
  const { methods } = requireFactors(page.service).secondFactor;
  if (data === undefined || !methods.includes(method))
    throw new PageError('bad-request', 400, `${page.path}/factors`);
  return data;
}

/** Shows the secret of a new app. Nothing is stored before its first code is right. */
export async function beginApp(visit: FactorsVisit, form: URLSearchParams): Promise<void> {
  const { page, state, login } = visit;
  page.facts.action = 'page';
  const label = readLabel(visit, form, 'totp');
  const { apps } = requireFactors(page.service);
  const { proof, next, revision } = login;
  const { since } = proof;
  const { secret, uri, enrolment } = apps.begin(factorUser(proof), next.grant, label, {
    since,
    revision,
  });
  const options = { ...describeForm(page, state), secret, uri, enrolment, label };
  showPage(page, appPage({ ...options, problem: undefined, minutes: undefined }));
}

/** Adds the app of {@link beginApp}, if its first code is right. */
export async function finishApp(visit: FactorsVisit, form: URLSearchParams): Promise<void> {
  const { page, state, login } = visit;
  const { service, facts } = page;
  addFacts(facts, { action: 'add-factor', factor: 'totp' });
  const { apps } = requireFactors(service);
  const sealed = form.get('enrolment') ?? '';
  const begun = apps.read(sealed);
  const { grant } = login.next;
  // The grant of this visit counts: the invitation may have been used up in another tab since.
  const isOwn =
    isDeepStrictEqual(begun?.user, factorUser(login.proof)) && begun?.grant.record === grant.record;
  if (begun === undefined || !isOwn) throw enrolmentEnded();
  const result = await checked(page, () =>
    addApp(page, login, { ...begun, grant }, form.get('code') ?? ''),
  );
  if (result === 'too-many') return showFactorsPage(visit, { problem: result });
  if (result.kind !== 'wrong-code') return showAdded(visit, result);
  facts.reason = result.kind;
  const { minutes } = result;
  const shown = { ...describeForm(page, state), ...apps.show(begun), enrolment: sealed };
  showPage(page, appPage({ ...shown, label: begun.label, problem: 'wrong-code', minutes }), 401);
}

/** Adds the passkey that the browser has made. */
export async function addPasskey(visit: FactorsVisit, form: URLSearchParams): Promise<void> {
  const { page, state, login } = visit;
  const { facts, service } = page;
  addFacts(facts, { action: 'add-factor', factor: 'passkey' });
  const name = readLabel(visit, form, 'passkey');
  const { enrolment, passkeys } = requireFactors(service);
  const result = await checked(page, async () => {
    // It is taken before the check: one response is checked for each challenge, on whichever replicas.
    const challenge = await takeChallenge(page, state, login);
    if (challenge === undefined) return { kind: 'wrong', reason: 'challenge' } as const;
    const registered = await passkeys.finishRegistration(challenge, form.get('response') ?? '');
    if (registered.kind === 'wrong') return registered;
    const owner = factorUser(login.proof);
    return addUnlessEnded(page, login, () =>
      enrolment.addPasskey(owner, login.next.grant, { ...registered.key, name }),
    );
  });
  if (result === 'too-many') return showFactorsPage(visit, { problem: result });
  if (result.kind !== 'wrong') return showAdded(visit, result);
  facts.reason = `second-factor-passkey-${result.reason}`;
  await showFactorsPage(visit, { problem: 'wrong-passkey' });
}

/**
 * Checks something within the limits of guesses: a refused one counts as a wrong password, and takes as long.
 *
 * @returns `too-many` if the address has no guess left
 */
async function checked<Result extends { readonly kind: string }>(
  page: PageRequest,
  check: () => Promise<Result>,
): Promise<Result | 'too-many'> {
  let refused: Result | undefined;
  const work = async () => {
    const result = await fromFactors(page.service, check);
    if (!result.kind.startsWith('wrong')) return result;
    refused = result;
    throw wrongCredentials(true);
  };
  try {
    return await inSteps(page.signal, () => withinLimits(page, work));
  } catch (error) {
    if (refused !== undefined) return refused;
    if (error instanceof LoginError && error.status === 429) return 'too-many';
    throw error;
  }
}

const problemsOfAdding: ReadonlyMap<string, FactorsProblem> = new Map<string, FactorsProblem>([
  ['too-many', 'too-many-factors'],
  ['duplicate', 'duplicate'],
]);

/** Shows what became of a new factor. */
async function showAdded(visit: FactorsVisit, result: AddedFactor | FactorRefusal): Promise<void> {
  const { page } = visit;
  const problem = problemsOfAdding.get(result.kind);
  if (problem !== undefined) {
    page.facts.reason = result.kind;
    return showFactorsPage(visit, { problem });
  }
  const { recoveryCodes, grant } = addedOrThrow(page, result);
  const change = keepGrant(visit, grant);
  // The codes are shown once. An outage of the other Redis must not lose them.
  await (recoveryCodes === undefined ? change : change.catch(() => false));
  if (recoveryCodes === undefined) return sendTo(page, `${page.path}/factors?added`);
  showPage(page, recoveryCodesPage({ path: page.path, codes: recoveryCodes, areRenewed: false }));
}
