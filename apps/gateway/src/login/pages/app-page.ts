import { encode } from 'uqr';
import type { Page } from './document.ts';
import { type Html, html } from './html.ts';
import { describedBy, type FormView, facts, problemBox } from './layout.ts';
import { appTexts } from './texts.ts';

interface AppPageOptions extends FormView {
  /** The secret as apps take it. */
  readonly secret: string;
  /** What the QR code contains. */
  readonly uri: string;
  /** The sealed enrolment, which the browser sends back with the first code. */
  readonly enrolment: string;
  /** The name that the user gave the app. */
  readonly label: string;
  readonly problem: 'wrong-code' | undefined;
  /** By how many minutes the clock of the app differs. It is negative if the clock is slow. Undefined: not known. */
  readonly minutes: number | undefined;
}

/** Makes the page on which a person adds an authenticator app. */
export function appPage(options: AppPageOptions): Page {
  const { path, form, secret, uri, enrolment, label, problem, minutes } = options;
  const { heading } = appTexts;
  const text = minutes === undefined ? appTexts.wrongCode : appTexts.clockOff(minutes);
  const isWrong = problem !== undefined;
  const invalid = isWrong
    ? html` aria-invalid="true" autofocus${describedBy(true, false)}`
    : undefined;
  return {
    title: isWrong ? `${appTexts.wrongTitle} - ${heading}` : heading,
    content: html`<h1>${heading}</h1>
${isWrong ? problemBox(text) : undefined}
${facts([[appTexts.name, label]])}
<ol role="list">
${uri.length > maxQrText ? undefined : scanStep(uri)}
<li><p>${appTexts.secret}</p>
${inFours(secret)}</li>
<li><form method="post" action="${path}/factors">
<input type="hidden" name="form" value="${form}">
<input type="hidden" name="action" value="app-code">
<input type="hidden" name="enrolment" value="${enrolment}">
<p>${appTexts.typeCode}</p>
<div><label for="code">${appTexts.code}</label>
<input id="code" name="code" required maxlength="64" inputmode="numeric" autocomplete="one-time-code"
  autocapitalize="none" autocorrect="off" spellcheck="false"${invalid}></div>
<button class="primary">${appTexts.submit}</button>
</form></li>
</ol>
<a class="button" href="${path}/factors">${appTexts.cancel}</a>`,
  };
}

function scanStep(uri: string): Html {
  return html`<li><p>${appTexts.scan}</p>
${qrCode(uri)}
<a class="button" href="${uri}">${appTexts.openApp}</a></li>`;
}

/** Shows a secret in groups, without spaces between them: a copy is the exact secret. */
function inFours(secret: string): Html {
  const groups = (secret.match(/.{1,4}/gs) ?? []).map((group) => html`<span>${group}</span><wbr>`);
  return html`<code class="secret">${groups}</code>`;
}

/** The white margin of a QR code, in modules (ISO/IEC 18004, section 5.3.8). */
const margin = 4;
/** The maximum number of characters in a QR code: with more, a camera can't tell its modules on a phone. Only a very long username has more. */
const maxQrText = 1_000;

/** Draws a QR code. It is black on white in dark mode, too: some apps do not read white on black. */
function qrCode(text: string): Html {
  const { size, data } = encode(text, { boostEcc: true, border: margin });
  const black = data.flatMap((row, y) =>
    [...row.map(Number).join('').matchAll(/1+/g)].map(
      ({ index, 0: { length } }) => `M${index} ${y}h${length}v1h-${length}z`,
    ),
  );
  return html`<svg role="img" aria-label="${appTexts.qrCode}" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges">
<path fill="#fff" d="M0 0h${size}v${size}H0z"/><path d="${black.join('')}"/></svg>`;
}
