import { type Html, html } from './html.ts';
import { attemptTexts } from './texts.ts';

/** What the forms of a page need. */
export interface FormView {
  /** The path of the attempt, such as `/login/ATTEMPT`. */
  readonly path: string;
  /** The token that proves that a form is from this browser. */
  readonly form: string;
}

/** What a page shows of an attempt to log in. */
export interface AttemptView {
  readonly cluster: string | undefined;
  /** The name that the device gave itself. */
  readonly device: string | undefined;
  /** The address from which the login was started. */
  readonly address: string;
  /** Whether the browser has another address. */
  readonly isOtherAddress: boolean;
}

/** Shows a name so that its letters, which may run from right to left, do not reorder the words next to it. */
export function isolated(name: string): Html {
  return html`<bdi>${name}</bdi>`;
}

/** Makes the words "Log in to CLUSTER" for a heading. The title of a page can't have elements. */
export function logInHeading({ cluster }: AttemptView): Html {
  return attemptTexts.logIn(cluster === undefined ? undefined : isolated(cluster));
}

/** Makes a list of facts. It leaves out facts that are undefined. */
export function facts(
  rows: readonly (readonly [label: string, value: string | undefined])[],
): Html {
  const filledRows = rows.filter(([, value]) => value !== undefined);
  return html`<dl>${filledRows.map(
    ([label, value]) => html`
<div><dt>${label}</dt><dd>${isolated(value ?? '')}</dd></div>`,
  )}
</dl>`;
}

/** Lists the device and address of an attempt. */
export const describeOrigin = ({ device, address }: AttemptView) =>
  [
    [attemptTexts.device, device],
    [attemptTexts.address, address],
  ] as const;

/** The ID of the warning, for `aria-describedby`. */
export const warningId = 'warning';

/** Warns of a login that began at another address. @param advice what to do if it is not the person's own login */
export function addressWarning(attempt: AttemptView, advice: string): Html | undefined {
  if (!attempt.isOtherAddress) return undefined;
  const text = attemptTexts.otherAddress(isolated(attempt.address));
  return warningBox(html`${text} ${advice}`);
}

const problemId = 'problem';

/** Says what went wrong. @param attributes of the box. Default: the ID by which `describedBy` finds it */
export function problemBox(text: string, attributes = html`id="${problemId}"`): Html {
  return html`<p class="box problem" role="alert" ${attributes}><strong>${attemptTexts.error}:</strong> ${text}</p>`;
}

/** Ties an element to the boxes above it, which a screen reader skips when it goes to the element. */
export function describedBy(hasProblem: boolean, hasWarning: boolean): Html | undefined {
  const ids = [hasProblem ? problemId : undefined, hasWarning ? warningId : undefined];
  const list = ids.filter((id) => id !== undefined).join(' ');
  return list === '' ? undefined : html` aria-describedby="${list}"`;
}

export function warningBox(text: Html): Html {
  return html`<p class="box warning" id="${warningId}"><strong>${attemptTexts.warning}:</strong> ${text}</p>`;
}
