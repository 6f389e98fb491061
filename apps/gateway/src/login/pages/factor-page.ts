import type { FactorMethod } from '../../config/second-factor.ts';
import { type Html, html } from './html.ts';
import {
  type AttemptView,
  addressWarning,
  facts,
  layout,
  originOf,
  problemBox,
  problemId,
} from './layout.ts';
import { type PasskeyPrompt, passkeyForm } from './passkey-form.ts';
import {
  attemptTexts,
  type FactorProblem,
  factorProblems,
  factorTexts,
  visitTexts,
} from './texts.ts';

interface FactorPageOptions {
  readonly attempt: AttemptView;
  /** The path of the attempt, such as `/login/ATTEMPT`. */
  readonly path: string;
  /** The token that proves that a form is from this browser. */
  readonly form: string;
  /** The methods of the user that are allowed. If there are none, only recovery codes work. */
  readonly methods: readonly FactorMethod[];
  /** Undefined: the user has no passkey. */
  readonly passkey: PasskeyPrompt | undefined;
  /** Whether the person wants to change their second factors, so that no client waits. */
  readonly isVisit: boolean;
  readonly problem: FactorProblem | undefined;
}

/** Makes the page on which a person proves their second factor, after the password. */
export function factorPage(options: FactorPageOptions): string {
  const { attempt, methods, passkey, isVisit, problem } = options;
  const title = factorTexts.title(
    isVisit ? visitTexts.change : attemptTexts.logIn(attempt.cluster),
  );
  const hasApp = methods.includes('totp');
  const hasBoth = passkey !== undefined;
  const code = codeSection(options, hasBoth);
  const sections = passkey === undefined ? [code] : [code, passkeySection(options, passkey)];
  return layout(
    problem === undefined ? title : html`${factorProblems[problem].title} - ${title}`,
    html`<h1>${factorTexts.heading}</h1>
${problem && problemBox(factorProblems[problem].text)}
${isVisit ? undefined : originSection(attempt)}
${hasApp ? sections : sections.toReversed()}
<p>${factorTexts.lost}</p>`,
    passkey !== undefined,
  );
}

function originSection(attempt: AttemptView): Html {
  return html`${addressWarning(attempt, attemptTexts.closePage)}
${facts([[attemptTexts.cluster, attempt.cluster], ...originOf(attempt)])}
${attempt.isOtherAddress ? undefined : html`<p>${attemptTexts.closePage}</p>`}`;
}

function codeSection(
  { attempt, path, form, methods, passkey, isVisit, problem }: FactorPageOptions,
  hasHeading: boolean,
): Html {
  const hasApp = methods.includes('totp');
  const isFirst = hasApp || passkey === undefined;
  // On a phone the focus would scroll the warning away.
  const focus = isFirst && (isVisit || !attempt.isOtherAddress) ? html` autofocus` : undefined;
  const invalid = problem === 'wrong-code' ? html` aria-invalid="true"` : undefined;
  const described = problem === undefined ? undefined : html` aria-describedby="${problemId}"`;
  return html`<section>
${hasHeading ? html`<h2>${factorTexts.withCode}</h2>` : undefined}
<form method="post" action="${path}/factor">
<input type="hidden" name="form" value="${form}">
<div><label for="code">${hasApp ? factorTexts.appOrRecoveryCode : factorTexts.recoveryCode}</label>
<input id="code" name="code" required maxlength="32" autocomplete="one-time-code"
  autocapitalize="none" autocorrect="off" spellcheck="false"${invalid}${described}${focus}></div>
<button${isFirst ? html` class="primary"` : undefined}>${factorTexts.submit}</button>
</form>
</section>`;
}

function passkeySection(
  { path, form, methods }: FactorPageOptions,
  { options }: PasskeyPrompt,
): Html {
  const isFirst = !methods.includes('totp');
  return html`<section>
<h2>${factorTexts.withPasskey}</h2>
${passkeyForm({
  ceremony: 'get',
  options,
  action: `${path}/passkey`,
  fields: html`<input type="hidden" name="form" value="${form}">`,
  button: html`<button${isFirst ? html` class="primary"` : undefined}>${factorTexts.usePasskey}</button>`,
  withoutScript: factorTexts.withoutScript,
})}
</section>`;
}
