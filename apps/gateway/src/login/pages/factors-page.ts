import type { FactorMethod } from '../../config/second-factor.ts';
import type { ListedFactor } from '../factors/factor-record.ts';
import type { Page } from './document.ts';
import { type Html, html } from './html.ts';
import { type FormView, facts, isolated, problemBox } from './layout.ts';
import { type PasskeyPrompt, passkeyForm } from './passkey-form.ts';
import {
  attemptTexts,
  type FactorNotice,
  type FactorsProblem,
  factorNotices,
  factorsProblems,
  factorsTexts,
} from './texts.ts';

interface FactorsPageOptions extends FormView {
  /** The name as Kubernetes sees it. */
  readonly username: string;
  /** Whether an invitation lets the person add one factor, and nothing else. Default: they have proved a factor. */
  readonly isInvited?: boolean;
  readonly factors: readonly ListedFactor[];
  /** How many recovery codes are left. */
  readonly recoveryCodes: number;
  /** The methods that can be added. */
  readonly methods: readonly FactorMethod[];
  /** The options to make a passkey. */
  readonly passkey: PasskeyPrompt | undefined;
  readonly notice: FactorNotice | undefined;
  readonly problem: FactorsProblem | undefined;
}

/** With fewer recovery codes, the page asks for new ones. */
const enoughRecoveryCodes = 3;
/** The maximum number of characters of a name, as at the terminal. */
const maxName = 64;

/** Makes the page on which a person adds and removes second factors. */
export function factorsPage(options: FactorsPageOptions): Page {
  const { username, factors, methods, passkey, notice, problem } = options;
  const { heading } = factorsTexts;
  return {
    title: problem === undefined ? heading : `${factorsProblems[problem].title} - ${heading}`,
    content: html`<h1>${heading}</h1>
${problem && problemBox(factorsProblems[problem].text)}
${notice && html`<p class="box" role="status">${factorNotices[notice]}</p>`}
${facts([[attemptTexts.user, username]])}
${factors.length === 0 ? html`<p>${factorsTexts.none}</p>` : factorList(options)}
${methods.includes('totp') ? appSection(options) : undefined}
${passkey && passkeySection(options, passkey)}
${factors.length === 0 || options.isInvited ? undefined : recoverySection(options)}
<p>${factorsTexts.done}</p>`,
    hasScript: passkey !== undefined,
  };
}

function factorList({ path, form, factors, isInvited = false }: FactorsPageOptions): Html {
  const rows = factors.map(
    ({ id, method, name, addedAt, usedAt }, index) => html`
<li class="factor">
<h2 id="factor-${index}">${isolated(name)}</h2>
<dl>
<div><dt>${factorsTexts.method}</dt><dd>${factorsTexts.methods[method]}</dd></div>
<div><dt>${factorsTexts.added}</dt><dd>${time(addedAt)}</dd></div>
<div><dt>${factorsTexts.used}</dt><dd>${usedAt === undefined ? factorsTexts.neverUsed : time(usedAt)}</dd></div>
</dl>
${
  isInvited
    ? undefined
    : factors.length === 1
      ? html`<p>${factorsTexts.only}</p>`
      : html`<form method="post" action="${path}/factors">
${hiddenFields(form, 'remove')}
<input type="hidden" name="id" value="${id}">
<button id="remove-${index}" aria-labelledby="remove-${index} factor-${index}">${factorsTexts.remove}</button>
</form>`
}
</li>`,
  );
  return html`<p>${factorsTexts.intro}</p>
<ul role="list">${rows}
</ul>`;
}

function time(milliseconds: number): Html {
  const iso = new Date(milliseconds).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC</time>`;
}

function hiddenFields(form: string, action: string): Html {
  return html`<input type="hidden" name="form" value="${form}">
<input type="hidden" name="action" value="${action}">`;
}

function nameField(id: string, label: string): Html {
  return html`<div><label for="${id}">${label}</label>
<input id="${id}" name="label" required maxlength="${maxName}" autocomplete="off"></div>`;
}

function appSection({ path, form }: FactorsPageOptions): Html {
  return html`<section>
<h2>${factorsTexts.addApp}</h2>
<form method="post" action="${path}/factors">
${hiddenFields(form, 'app')}
${nameField('app-name', factorsTexts.appName)}
<button>${factorsTexts.submitApp}</button>
</form>
</section>`;
}

function passkeySection({ path, form }: FactorsPageOptions, passkey: PasskeyPrompt): Html {
  return html`<section>
<h2>${factorsTexts.addPasskey}</h2>
${passkeyForm({
  ...passkey,
  ceremony: 'create',
  action: `${path}/factors`,
  fields: html`${hiddenFields(form, 'passkey')}
${nameField('passkey-name', factorsTexts.passkeyName)}`,
  button: html`<button>${factorsTexts.submitPasskey}</button>`,
  withoutScript: factorsTexts.withoutScript,
})}
</section>`;
}

function recoverySection({ path, form, recoveryCodes }: FactorsPageOptions): Html {
  const countText = html`${factorsTexts.recoveryLeft(recoveryCodes)}`;
  return html`<section>
<h2>${factorsTexts.recovery}</h2>
${
  recoveryCodes < enoughRecoveryCodes
    ? html`<p class="box warning"><strong>${attemptTexts.warning}:</strong> ${countText} ${factorsTexts.recoveryFew}</p>`
    : html`<p>${countText}</p>`
}
<p>${factorsTexts.replaced}</p>
<form method="post" action="${path}/factors">
${hiddenFields(form, 'recovery')}
<button>${factorsTexts.replace}</button>
</form>
</section>`;
}
