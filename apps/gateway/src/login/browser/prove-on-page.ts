import type { BrowserState } from '../attempts/attempt.ts';
import type { FactorNeed } from '../factors/second-factor.ts';
import { enrolmentEnded, type LoginError, wrongCredentials } from '../login-error.ts';
import { countLogin, inSteps, withinLimits } from '../login-request.ts';
import { factorPage } from '../pages/factor-page.ts';
import type { FactorProblem } from '../pages/texts.ts';
import type { Proof } from '../proof.ts';
import {
  factorUser,
  findNeed,
  fromFactors,
  proveCode,
  requireFactors,
  requireUsable,
  withFactor,
} from '../prove-factor.ts';
import { maxTyped } from '../secret-text.ts';
import {
  changeNext,
  keepChallenge,
  type LoginWithNext,
  loginWithNext,
  type NextStep,
  renewLogin,
  sendToNext,
  takeChallenge,
} from './next-page.ts';
import { findProblem } from './page-error.ts';
import {
  describeAttempt,
  describeForm,
  type PageRequest,
  readPageForm,
  readState,
  sendTo,
  showPage,
} from './page-request.ts';

type Login = LoginWithNext<'factor'>;
type FactorChoice = Extract<FactorNeed, { readonly kind: 'factor' }>;

/** Shows the page that asks for a second factor. */
export async function showFactor(page: PageRequest): Promise<void> {
  const state = readState(page, page.attempt.id);
  const login = await loginWithNext(page, state, 'factor');
  if (state === undefined || login === undefined) return;
  await askForFactor(page, state, login);
}

const statusOf = {
  'wrong-code': 401,
  'wrong-passkey': 401,
  'too-many': 429,
  unavailable: 503,
} as const satisfies Readonly<Record<FactorProblem, number>>;

async function askForFactor(
  page: PageRequest,
  state: BrowserState,
  login: Login,
  problem?: FactorProblem,
): Promise<void> {
  const { passkeys } = requireFactors(page.service);
  const { methods, record } = await requireNeed(page, login);
  const passkey = methods.includes('passkey') ? passkeys.beginAuthentication(record) : undefined;
  if (passkey && !(await keepChallenge(page, state, login, passkey.challenge)))
    return sendTo(page, page.path);
  const factor = factorPage({
    ...describeForm(page, state),
    attempt: describeAttempt(page),
    methods,
    passkey,
    isVisit: page.attempt.manages !== undefined,
    problem,
  });
  showPage(page, factor, problem && statusOf[problem]);
}

/** Finds out again how the user can prove a factor. @throws LoginError if they can't any more, such as after a reset */
async function requireNeed(
  { service, facts }: PageRequest,
  { proof }: Login,
): Promise<FactorChoice> {
  const need = await findNeed(service, proof);
  requireUsable(service, need, proof, facts);
  if (need.kind === 'factor') return need;
  facts.reason = 'no-second-factor';
  throw enrolmentEnded();
}

/** Checks the second factor that a person has sent, and lets them go on. A refused one is a guess, as a wrong password is. */
export async function proveOnPage(page: PageRequest, method: 'code' | 'passkey'): Promise<void> {
  const { service, signal, facts, attempt } = page;
  const { state, form } = await readPageForm(page);
  const login = await loginWithNext(page, state, 'factor');
  if (login === undefined) return;
  const need = await requireNeed(page, login);
  const response = form.get(method === 'code' ? 'code' : 'response') ?? '';
  const prove = () =>
    method === 'code'
      ? proveCode(service, login.proof, response.slice(0, maxTyped), signal, facts)
      : provePasskey(page, state, login, need, response);
  let proof: Proof;
  try {
    proof = await inSteps(signal, () => withinLimits(page, prove));
    countLogin(page, proof);
  } catch (error) {
    const problem = findProblem(error, `wrong-${method}`);
    if (problem === undefined) throw error;
    return askForFactor(page, state, login, problem);
  }
  const next = attempt.manages && manageNext(page, need);
  const renewed = renewLogin(page, state);
  const isChanged = await changeNext(page, state, login, { proof, next }, renewed.digest);
  // In another tab, the person has gone on, or has logged in again.
  if (!isChanged) return sendTo(page, `${page.path}/factor`);
  sendToNext(renewed.enter(), next);
}

function manageNext({ service }: PageRequest, { record }: FactorChoice): NextStep {
  const grant = requireFactors(service).enrolment.grant(record, undefined);
  if (grant === undefined) throw enrolmentEnded();
  return { kind: 'manage', grant };
}

/** Checks the response of a browser that has used a passkey. @throws LoginError if it is wrong, or could not be checked */
async function provePasskey(
  page: PageRequest,
  state: BrowserState,
  login: Login,
  { methods, record }: FactorChoice,
  response: string,
): Promise<Proof> {
  const { service, facts } = page;
  const { proof } = login;
  const refused = (reason: string): LoginError => {
    facts.reason = `second-factor-passkey-${reason}`;
    return wrongCredentials(true);
  };
  // It is taken before the check: one response is checked for each challenge, on whichever replicas.
  const challenge = await takeChallenge(page, state, login);
  if (challenge === undefined) throw refused('challenge');
  if (!methods.includes('passkey')) throw refused('unknown-key');
  const { passkeys } = requireFactors(service);
  const checked = await fromFactors(service, () =>
    passkeys.finishAuthentication(factorUser(proof), record, challenge, response),
  );
  if (checked.kind === 'wrong') throw refused(checked.reason);
  return withFactor(proof, 'passkey', facts, checked.key);
}
