import { isMisleading } from '../../base/logging/printable.ts';
import type { Page } from './document.ts';
import { fieldValue, type Html, html } from './html.ts';
import {
  type AttemptView,
  addressWarning,
  describedBy,
  describeOrigin,
  type FormView,
  facts,
  logInHeading,
  problemBox,
} from './layout.ts';
import { attemptTexts, type LoginProblem, loginTexts, problems, visitTexts } from './texts.ts';

interface LoginPageOptions extends FormView {
  readonly attempt: AttemptView;
  /** Whether the person wants to change their second factors: then no client waits, and only passwords are asked for. */
  readonly isVisit?: boolean;
  /** Whether an invitation leads to that: the person has none yet, or lost it. */
  readonly isInvited?: boolean;
  /** Whether users can log in with a password. */
  readonly passwords: boolean;
  readonly providers: readonly { readonly name: string; readonly title: string }[];
  /** The name that the field already has. */
  readonly username: string | undefined;
  readonly problem: LoginProblem | undefined;
}

/** Makes the page on which a person logs in. It names no user, except the name that was typed. */
export function loginPage(options: LoginPageOptions): Page {
  const { attempt, passwords, providers, problem } = options;
  if (options.isVisit === true) return visitPage(options);
  const logIn = attemptTexts.logIn(attempt.cluster);
  const hasBoth = passwords && providers.length > 0;
  const sections = [
    ...(passwords ? [passwordSection(options, hasBoth)] : []),
    ...(providers.length > 0 ? [providerSection(options, hasBoth)] : []),
  ];
  return {
    title: problem === undefined ? logIn : html`${problems[problem].title} - ${logIn}`,
    content: html`<h1>${logInHeading(attempt)}</h1>
${problem && problemBox(problems[problem].text)}
${addressWarning(attempt, attemptTexts.closePage)}
${facts(describeOrigin(attempt))}
${attempt.isOtherAddress ? undefined : html`<p>${attemptTexts.closePage}</p>`}
${isOfProvider(problem) ? sections.toReversed() : sections}`,
  };
}

function visitPage(options: LoginPageOptions): Page {
  const { problem } = options;
  const title = options.isInvited ? visitTexts.setUp : visitTexts.logIn;
  return {
    title: problem === undefined ? title : `${problems[problem].title} - ${title}`,
    content: html`<h1>${title}</h1>
${problem && problemBox(problems[problem].text)}
${passwordSection({ ...options, attempt: { ...options.attempt, isOtherAddress: false } }, false)}`,
  };
}

/** Whether a problem is about a provider: the person most likely tries again there, and finds its link first. */
function isOfProvider(problem: LoginProblem | undefined): boolean {
  return problem?.startsWith('provider-') === true;
}

function passwordSection(options: LoginPageOptions, hasHeading: boolean): Html {
  const { path, form, problem } = options;
  // A direction mark in the field could make a name look like another one. The person types the name again.
  const username = isMisleading(options.username ?? '') ? '' : (options.username ?? '');
  const invalid = problem === 'wrong-credentials' ? html` aria-invalid="true"` : undefined;
  const next = nextField(options);
  return html`<section>
${hasHeading ? html`<h2>${loginTexts.withPassword}</h2>` : undefined}
<form method="post" action="${path}/password">
<input type="hidden" name="form" value="${form}">
<div><label for="username">${loginTexts.username}</label>
<input id="username" name="username" value="${fieldValue(username)}" required${invalid}
  autocomplete="username" autocapitalize="none" autocorrect="off" spellcheck="false"${username === '' ? next : undefined}></div>
<div><label for="password">${loginTexts.password}</label>
<input id="password" name="password" type="password" required${invalid}
  autocomplete="current-password"${username === '' ? undefined : next}></div>
<button class="primary">${loginTexts.submit}</button>
</form>
</section>`;
}

/**
 * Makes the attributes of the field to fill in next. The field has the focus, except below a warning or the links of
 * providers: on a phone the focus would scroll them away.
 */
function nextField(options: LoginPageOptions): Html {
  const isElsewhere = options.attempt.isOtherAddress || isOfProvider(options.problem);
  const focus = isElsewhere ? undefined : html` autofocus`;
  return html`${focus}${describeLogin(options)}`;
}

const describeLogin = ({ attempt, problem }: LoginPageOptions) =>
  describedBy(problem !== undefined, attempt.isOtherAddress);

/** Lists the providers as links, since browsers check the redirects of a form against `form-action`. */
function providerSection(options: LoginPageOptions, hasHeading: boolean): Html {
  const { path, passwords, providers, problem } = options;
  // The provider would return the same user without a question.
  const query = problem === 'provider-refused' ? '?other' : '';
  const look = !passwords && providers.length === 1 ? 'button primary' : 'button';
  const links = providers.map(({ name, title }, index) => {
    const description = !passwords && index === 0 ? describeLogin(options) : undefined;
    const href = `${path}/provider/${encodeURIComponent(name.toWellFormed())}${query}`;
    return html`
<li><a class="${look}" href="${href}"${description}>${loginTexts.provider(title)}</a></li>`;
  });
  return html`<section>
${hasHeading ? html`<h2>${loginTexts.withProvider}</h2>` : undefined}
<ul role="list">${links}
</ul>
</section>`;
}
