import type { Page } from './document.ts';
import { html } from './html.ts';
import { recoveryTexts } from './texts.ts';

interface RecoveryCodesPageOptions {
  /** The path of the attempt, such as `/login/ATTEMPT`. */
  readonly path: string;
  readonly codes: readonly string[];
  /** Whether they replace earlier ones. */
  readonly areRenewed: boolean;
}

/** Makes the page that shows new recovery codes. No other page shows them. */
export function recoveryCodesPage({ path, codes, areRenewed }: RecoveryCodesPageOptions): Page {
  return {
    title: recoveryTexts.heading,
    content: html`<h1>${recoveryTexts.heading}</h1>
<p>${recoveryTexts.todo}</p>
<ul role="list" class="codes">${codes.map(
      (code) => html`
<li><code>${code}</code></li>`,
    )}
</ul>
<p><strong>${recoveryTexts.once}${areRenewed ? ` ${recoveryTexts.replaced}` : undefined}</strong></p>
<a class="button primary" href="${path}/factors">${recoveryTexts.next}</a>`,
  };
}
