import { html } from './html.ts';
import { layout } from './layout.ts';
import { type MessageKind, messages, tryAgain, waitText } from './texts.ts';

interface MessagePageOptions {
  readonly kind: MessageKind;
  /** The path at which the person can try again. */
  readonly again?: string | undefined;
  /** The seconds to wait, for `too-many`. */
  readonly wait?: number | undefined;
}

/** Makes a page that says what happened, and what to do next. */
export function messagePage({ kind, again, wait }: MessagePageOptions): string {
  const { title, text, next } = messages[kind];
  return layout(
    title,
    html`<h1>${title}</h1>
<p>${text}</p>
<p>${kind === 'too-many' ? waitText(wait) : next}</p>
${again === undefined ? undefined : html`<a class="button" href="${again}">${tryAgain}</a>`}`,
  );
}
