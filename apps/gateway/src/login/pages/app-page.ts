import { encode } from 'uqr';
import { fieldValue, type Html, html } from './html.ts';
import { facts, layout, problemBox, problemId } from './layout.ts';
import { appTexts } from './texts.ts';

interface AppPageOptions {
  /** The path of the attempt, such as `/login/ATTEMPT`. */
  readonly path: string;
  /** The token that proves that a form is from this browser. */
  readonly form: string;
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
export function appPage(options: AppPageOptions): string {
  const { path, form, secret, uri, enrolment, label, problem, minutes } = options;
  const { heading } = appTexts;
  const text = minutes === undefined ? appTexts.wrongCode : appTexts.clockOff(minutes);
  const isWrong = problem !== undefined;
  const invalid = isWrong
    ? html` aria-invalid="true" aria-describedby="${problemId}" autofocus`
    : undefined;
  return layout(
    isWrong ? `${appTexts.wrongTitle} - ${heading}` : heading,
    html`<h1>${heading}</h1>
${isWrong ? problemBox(text) : undefined}
${facts([[appTexts.name, label]])}
<ol role="list">
<li><p>${appTexts.scan}</p>
${qrCode(uri)}
<a class="button" href="${uri}">${appTexts.openApp}</a></li>
<li><p>${appTexts.secret}</p>
<p class="secret">${inFours(secret)}</p></li>
<li><form method="post" action="${path}/factors">
<input type="hidden" name="form" value="${form}">
<input type="hidden" name="action" value="app-code">
<input type="hidden" name="enrolment" value="${fieldValue(enrolment)}">
<p>${appTexts.typeCode}</p>
<div><label for="code">${appTexts.code}</label>
<input id="code" name="code" required maxlength="32" inputmode="numeric" autocomplete="one-time-code"
  autocapitalize="none" autocorrect="off" spellcheck="false"${invalid}></div>
<button class="primary">${appTexts.submit}</button>
</form></li>
</ol>
<a class="button" href="${path}/factors">${appTexts.cancel}</a>`,
  );
}

/** Shows a secret in groups, without spaces between them: a copy is the exact secret. */
function inFours(secret: string): Html {
  const groups = (secret.match(/.{1,4}/gs) ?? []).map((group) => html`<span>${group}</span><wbr>`);
  return html`<code>${groups}</code>`;
}

/** The white margin of a QR code, in modules (ISO/IEC 18004, section 5.3.8). */
const margin = 4;

/** Draws a QR code. It is black on white in dark mode, too: some apps do not read white on black. */
function qrCode(text: string): Html {
  const { size, data } = encode(text, { ecc: 'M', border: margin });
  const squares = data
    .flatMap((row, y) => row.map((isBlack, x) => (isBlack ? `M${x} ${y}h1v1h-1z` : '')))
    .join('');
  return html`<svg class="qr" role="img" aria-label="${appTexts.qrCode}" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges">
<path fill="#fff" d="M0 0h${size}v${size}H0z"/><path fill="#000" d="${squares}"/></svg>`;
}
