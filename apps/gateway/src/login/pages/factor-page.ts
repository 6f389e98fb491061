import type { FactorMethod } from '../../config/second-factor.ts';
import type { Page } from './document.ts';
import { type Html, html } from './html.ts';
import {
  type AttemptView,
  addressWarning,
  describedBy,
  describeOrigin,
  type FormView,
  facts,
  problemBox,
} from './layout.ts';
import { type PasskeyPrompt, passkeyForm } from './passkey-form.ts';
import {
  attemptTexts,
  type FactorProblem,
  factorProblems,
  factorTexts,
  visitTexts,
} from './texts.ts';

interface FactorPageOptions extends FormView {
  readonly attempt: AttemptView;
  /** The methods of the user that are allowed. If there are none, only recovery codes work. */
  readonly methods: readonly FactorMethod[];
  /** Undefined: the user has no passkey. */
  readonly passkey: PasskeyPrompt | undefined;
  /** Whether the person wants to change their second factors, so that no client waits. */
  readonly isVisit: boolean;
  readonly problem: FactorProblem | undefined;
}

/** Makes the page on which a person proves their second factor, after the password. What they most likely use comes first. */
export function factorPage(options: FactorPageOptions): Page {
  const { attempt, passkey, isVisit, problem } = options;
  const title = factorTexts.title(
    isVisit ? visitTexts.change : attemptTexts.logIn(attempt.cluster),
  );
  const sections = [
    codeSection(options),
    ...(passkey === undefined ? [] : [passkeySection(options, passkey)]),
  ];
  return {
    title: problem === undefined ? title : html`${factorProblems[problem].title} - ${title}`,
    content: html`<h1>${factorTexts.heading}</h1>
${problem && problemBox(factorProblems[problem].text)}
${isVisit ? undefined : origin(attempt)}
${isCodeFirst(options) ? sections : sections.toReversed()}
<p>${factorTexts.lost}</p>`,
    hasScript: passkey !== undefined,
  };
}

function isCodeFirst({ methods, passkey }: FactorPageOptions): boolean {
  return methods.includes('totp') || passkey === undefined;
}

function hasWarning({ attempt, isVisit }: FactorPageOptions): boolean {
  return attempt.isOtherAddress && !isVisit;
}

function origin(attempt: AttemptView): Html {
  return html`${addressWarning(attempt, attemptTexts.closePage)}
${facts([[attemptTexts.cluster, attempt.cluster], ...describeOrigin(attempt)])}
${attempt.isOtherAddress ? undefined : html`<p>${attemptTexts.closePage}</p>`}`;
}

function codeSection(options: FactorPageOptions): Html {
  const { path, form, methods, passkey, problem } = options;
  const isFirst = isCodeFirst(options);
  const label = methods.includes('totp') ? factorTexts.appOrRecoveryCode : factorTexts.recoveryCode;
  const invalid = problem === 'wrong-code' ? html` aria-invalid="true"` : undefined;
  // On a phone the focus would scroll a warning away.
  const focus = isFirst && !hasWarning(options) ? html` autofocus` : undefined;
  return html`<section>
${passkey === undefined ? undefined : html`<h2>${factorTexts.withCode}</h2>`}
<form method="post" action="${path}/factor">
<input type="hidden" name="form" value="${form}">
<div><label for="code">${label}</label>
<input id="code" name="code" required maxlength="64" autocomplete="one-time-code"
  autocapitalize="none" autocorrect="off" spellcheck="false"${invalid}${focus}${description(options, isFirst)}></div>
<button${look(isFirst)}>${factorTexts.submit}</button>
</form>
</section>`;
}

/** Describes what is to be used first, which a screen reader may go to without the boxes above. */
function description(options: FactorPageOptions, isFirst: boolean): Html | undefined {
  return isFirst ? describedBy(options.problem !== undefined, hasWarning(options)) : undefined;
}

const look = (isFirst: boolean) => (isFirst ? html` class="primary"` : undefined);

/** Nothing here has the focus: the Enter that sent the password must not ask for the passkey, too. */
function passkeySection(options: FactorPageOptions, passkey: PasskeyPrompt): Html {
  const { path, form } = options;
  const isFirst = !isCodeFirst(options);
  return html`<section>
<h2>${factorTexts.withPasskey}</h2>
${passkeyForm({
  ...passkey,
  ceremony: 'get',
  action: `${path}/passkey`,
  fields: html`<input type="hidden" name="form" value="${form}">`,
  button: html`<button${look(isFirst)}${description(options, isFirst)}>${factorTexts.usePasskey}</button>`,
  withoutScript: factorTexts.withoutScript,
})}
</section>`;
}
