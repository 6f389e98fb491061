import { type Html, html } from './html.ts';
import { problemBox } from './layout.ts';
import { passkeyErrors } from './texts.ts';

export interface PasskeyPrompt {
  /** The JSON of PublicKeyCredentialRequestOptions or PublicKeyCredentialCreationOptions. */
  readonly options: object;
}

interface PasskeyFormOptions extends PasskeyPrompt {
  /** What the browser does with the passkey. */
  readonly ceremony: 'get' | 'create';
  /** The path to which the form is sent. */
  readonly action: string;
  readonly fields: Html;
  readonly button: Html;
  /** What a person reads whose browser runs no script. */
  readonly withoutScript: string;
}

/** Makes a form that sends the answer of a passkey. The script of the page shows it. */
export function passkeyForm(options: PasskeyFormOptions): Html {
  const { ceremony, action, fields, button, withoutScript } = options;
  const errors = Object.entries(passkeyErrors).map(([kind, text]) =>
    problemBox(text, html`data-error="${kind}" hidden`),
  );
  return html`<form method="post" action="${action}" data-passkey="${ceremony}" data-options="${asciiJson(options.options)}" hidden>
${fields}
<input type="hidden" name="response">
${errors}
${button}
</form>
<p>${withoutScript}</p>`;
}

/** Writes JSON without the characters that a template would show as escapes: a script must read what was written. */
function asciiJson(value: object): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
