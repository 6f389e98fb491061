import type { Page } from './document.ts';
import { html } from './html.ts';
import {
  type AttemptView,
  addressWarning,
  describeOrigin,
  type FormView,
  facts,
  logInHeading,
  warningBox,
  warningId,
} from './layout.ts';
import { attemptTexts, codeTexts, confirmTexts } from './texts.ts';

interface ConfirmPageOptions extends FormView {
  readonly attempt: AttemptView;
  /** The name as Kubernetes sees it. */
  readonly username: string;
  /** The title of the provider at which the person logged in. It is undefined after a password. */
  readonly provider: string | undefined;
  /** Whether the client waits for the code on a port. If not, the person pastes it. */
  readonly hasListener: boolean;
}

/**
 * Makes the page that asks a person whether to give the client this login. Nothing has the focus: the Enter that sent
 * the password must not confirm, too. Nor must a click that was meant for another page: without the script, there is a box to
 * tick.
 */
export function confirmPage(options: ConfirmPageOptions): Page {
  const { attempt, path, form, username, provider, hasListener } = options;
  const answers = hasListener
    ? html`<button class="primary" name="answer" value="redirect">${confirmTexts.redirect}</button>
<button name="answer" value="code">${confirmTexts.codeInstead}</button>`
    : html`<button class="primary" name="answer" value="code">${confirmTexts.code}</button>`;
  return {
    title: confirmTexts.title(attemptTexts.logIn(attempt.cluster)),
    content: html`<h1>${confirmTexts.heading(logInHeading(attempt))}</h1>
${addressWarning(attempt, confirmTexts.notYours)}
${facts([
  [attemptTexts.user, username],
  [attemptTexts.provider, provider],
  [attemptTexts.cluster, attempt.cluster],
  ...describeOrigin(attempt),
])}
<p>${confirmTexts.consequence}${attempt.isOtherAddress ? undefined : html` ${confirmTexts.notYours}`}</p>
<form method="post" action="${path}/confirm" data-delayed>
<input type="hidden" name="form" value="${form}">
<label class="tick" data-box><input type="checkbox" required> ${confirmTexts.own}</label>
${answers}
<button name="answer" value="cancel" formnovalidate>${confirmTexts.cancel}</button>
</form>`,
    hasScript: true,
  };
}

interface CodePageOptions {
  readonly attempt: AttemptView;
  /** The name as Kubernetes sees it. */
  readonly username: string;
  readonly code: string;
}

/**
 * Makes the page with the code to paste. The code is in a field, so that it can be selected with the keyboard alone. The script
 * selects it, and shows the button; without scripts, the page is whole without the button.
 */
export function codePage({ attempt, username, code }: CodePageOptions): Page {
  return {
    title: codeTexts.title(attemptTexts.logIn(attempt.cluster)),
    content: html`<h1>${codeTexts.heading}</h1>
<div><label for="code">${codeTexts.code}</label>
<input id="code" value="${code}" readonly autofocus autocomplete="off" spellcheck="false"
  aria-describedby="todo ${warningId}"></div>
<button type="button" data-copies="code" data-copied="${codeTexts.copied}" hidden>${codeTexts.copy}</button>
<p id="todo">${codeTexts.todo}</p>
${warningBox(html`${codeTexts.warning}`)}
${facts([
  [attemptTexts.user, username],
  [attemptTexts.cluster, attempt.cluster],
  ...describeOrigin(attempt),
])}`,
    hasScript: true,
  };
}
