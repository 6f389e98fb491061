import { html } from './html.ts';
import {
  type AttemptView,
  describeOrigin,
  facts,
  layout,
  warningBox,
  warningId,
} from './layout.ts';
import { attemptTexts, codeTexts } from './texts.ts';

interface CodePageOptions {
  readonly attempt: AttemptView;
  /** The name as Kubernetes sees it. */
  readonly username: string;
  readonly code: string;
}

/**
 * Makes the page with the code to paste. The code is in a field, so that it can be selected with the keyboard alone,
 * and in one of several lines, so that all of it can be seen on a phone.
 */
export function codePage({ attempt, username, code }: CodePageOptions): string {
  return layout(
    codeTexts.title(attemptTexts.logIn(attempt.cluster)),
    html`<h1>${codeTexts.heading}</h1>
<div><label for="code">${codeTexts.code}</label>
<textarea id="code" readonly autofocus rows="3" autocomplete="off" spellcheck="false"
  aria-describedby="todo ${warningId}">${code}</textarea></div>
<p id="todo">${codeTexts.todo}</p>
${warningBox(html`${codeTexts.warning}`)}
${facts([
  [attemptTexts.user, username],
  [attemptTexts.cluster, attempt.cluster],
  ...describeOrigin(attempt),
])}`,
  );
}
