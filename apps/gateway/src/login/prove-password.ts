import { asError, withoutToken } from '../base/logging/error-fields.ts';
import type { LinkContext } from '../engine/chain/chain.ts';
import { noPasswords, uncheckedLogin, wrongCredentials } from './login-error.ts';
import type { LoginFacts } from './login-facts.ts';
import type { LoggedInUser, LoginLink, LoginService } from './login-service.ts';
import type { Proof } from './proof.ts';
import { factorUser } from './prove-factor.ts';
import type { Credentials } from './request-bodies.ts';

/**
 * Checks a name and a password.
 *
 * @throws LoginError, even when a backend could not be asked
 */
export async function provePassword(
  service: LoginService,
  credentials: Credentials,
  signal: AbortSignal,
  facts: LoginFacts,
): Promise<Proof> {
  if (service.passwordLinks.length === 0) throw noPasswords();
  // The session begins before the password is checked: a password that is changed from here on ends it.
  const since = Date.now();
  const context = { audiences: [], signal };
  const [link, answer, unchecked] = await checkPassword(service, credentials, context, facts);
  await requireNoOtherFactor(service, link, answer, unchecked);
  const { name: authenticator } = link;
  const { backendUser, user } = answer;
  return {
    authenticator,
    since,
    backendUser,
    user,
    login: credentials.username,
  };
}

/**
 * Asks the authenticators as the chain does: the first definitive answer decides, and an error is not a refusal. After
 * an error, a refusal of a later authenticator is answered as an outage, too: else it would show that the later one
 * knows the name. `chain` can't do it in fewer lines: it has one token for all links, but a login has another token for each, and
 * who has decided, how the backend names the user and who could not be asked would have to be read back from its observers.
 */
async function checkPassword(
  { passwordLinks, logger }: LoginService,
  { username, password }: Credentials,
  context: LinkContext,
  facts: LoginFacts,
): Promise<[LoginLink, LoggedInUser, unchecked: readonly LoginLink[]]> {
  const unchecked: LoginLink[] = [];
  let isChecked = false;
  for (const link of passwordLinks) {
    try {
      const answer = await link.logIn(username, password, context);
      isChecked = true;
      if (answer.kind === 'no-opinion') continue;
      facts.authenticator = link.name;
      if (answer.kind === 'logged-in') return [link, answer, unchecked];
      facts.reason = answer.reason;
      facts.subject = answer.subject;
      break;
    } catch (error) {
      unchecked.push(link);
      facts.authenticator = link.name;
      const reason = withoutToken(asError(error).message, password);
      logger.warn({ authenticator: link.name, reason }, 'authenticator could not check a login');
      if (link.onError === 'stop') break;
    }
  }
  if (unchecked.length > 0) throw uncheckedLogin(isChecked);
  // The reason is for the operator. The name is not reported: what was typed may be a password.
  facts.reason ??= 'unknown-user';
  // There is one text for an unknown name, a wrong password and all other reasons of a refusal: it must not show who
  // exists.
  throw wrongCredentials();
}

/**
 * Refuses a user without a second factor while an authenticator before this one can't be asked whose users can have the same
 * names and a second factor: there they may have one.
 *
 * @param unchecked the authenticators that could not be asked
 * @throws LoginError
 */
async function requireNoOtherFactor(
  { factorPolicy, factors }: LoginService,
  link: LoginLink,
  answer: LoggedInUser,
  unchecked: readonly LoginLink[],
): Promise<void> {
  const mayHaveFactor = ({ name, username: { prefix } }: LoginLink) =>
    prefix === link.username.prefix && factorPolicy.isCovered(name);
  if (!unchecked.some(mayHaveFactor)) return;
  const need = await factors?.secondFactor
    .findNeed(factorUser({ authenticator: link.name, ...answer }), answer.user.groups ?? [])
    .catch(() => undefined);
  if (need === undefined || need.kind === 'nothing') throw uncheckedLogin(true);
}
