import { isMisleading } from '../../base/logging/printable.ts';
import { fieldValue, type Html, html } from './html.ts';
import {
  type AttemptView,
  addressWarning,
  facts,
  layout,
  logInHeading,
  originOf,
  warningId,
} from './layout.ts';
import { attemptTexts, type LoginProblem, loginTexts, problems } from './texts.ts';

interface LoginPageOptions {
  readonly attempt: AttemptView;
  /** The path of the attempt, such as `/login/ATTEMPT`. */
  readonly path: string;
  /** The token that proves that a form is from this browser. */
  readonly form: string;
  /** Whether users can log in with a password. */
  readonly passwords: boolean;
  readonly providers: readonly { readonly name: string; readonly title: string }[];
  /** The name that the field already has. */
  readonly username: string | undefined;
  readonly problem: LoginProblem | undefined;
}

const problemId = 'problem';

/** Makes the page on which a person logs in. It names no user, except the name that was typed. */
export function loginPage(options: LoginPageOptions): string {
  const { attempt, passwords, providers, problem } = options;
  const logIn = attemptTexts.logIn(attempt.cluster);
  const found = problem && problems[problem];
  const hasBoth = passwords && providers.length > 0;
  return layout(
    found === undefined ? logIn : html`${found.title} - ${logIn}`,
    html`<h1>${logInHeading(attempt)}</h1>
${found && html`<p class="box problem" role="alert" id="${problemId}"><strong>${found.title}.</strong> ${found.text}</p>`}
${addressWarning(attempt, attemptTexts.closePage)}
${facts(originOf(attempt))}
${passwords ? passwordSection(options, hasBoth) : undefined}
${providers.length > 0 ? providerSection(options, hasBoth) : undefined}`,
  );
}

function passwordSection(options: LoginPageOptions, hasHeading: boolean): Html {
  const { path, form, problem } = options;
  // A direction mark in the field could make a name look like another one. The person types the name again.
  const username = isMisleading(options.username ?? '') ? '' : (options.username ?? '');
  const [first, second] = [html` autofocus${describedBy(options)}`, undefined];
  const invalid = problem === 'wrong-credentials' ? html` aria-invalid="true"` : undefined;
  return html`<section>
${hasHeading ? html`<h2>${loginTexts.withPassword}</h2>` : undefined}
<form method="post" action="${path}/password">
<input type="hidden" name="form" value="${form}">
<div><label for="username">${loginTexts.username}</label>
<input id="username" name="username" value="${fieldValue(username)}" autocomplete="username" autocapitalize="none" autocorrect="off" spellcheck="false" required${invalid}${username === '' ? first : second}></div>
<div><label for="password">${loginTexts.password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required${invalid}${username === '' ? second : first}></div>
<button class="primary">${loginTexts.submit}</button>
</form>
</section>`;
}

/** Ties the field that has the focus to the boxes above it, which a screen reader would skip. */
function describedBy({ attempt, problem }: LoginPageOptions): Html | undefined {
  const ids = [problem && problemId, attempt.isOtherAddress ? warningId : undefined];
  const list = ids.filter((id) => id !== undefined).join(' ');
  return list === '' ? undefined : html` aria-describedby="${list}"`;
}

function providerSection(options: LoginPageOptions, hasHeading: boolean): Html {
  const links = options.providers.map(
    // Links, since browsers check the redirects of a form against form-action.
    ({ name, title }) => html`
<li><a class="button" href="${options.path}/provider/${encodeURIComponent(name.toWellFormed())}">${loginTexts.provider(title)}</a></li>`,
  );
  return html`<section>
${hasHeading ? html`<h2>${loginTexts.withProvider}</h2>` : undefined}
<ul>${links}
</ul>
</section>`;
}
