import type { Page } from './document.ts';
import { html } from './html.ts';
import { type MessageKind, messages, tryAgain, visitTexts, waitText } from './texts.ts';

interface MessagePageOptions {
  readonly kind: MessageKind;
  /** The path at which the person can try again. */
  readonly retryPath?: string | undefined;
  /** The path at which people change their second factors, for `home`. Undefined: this server has none. */
  readonly factors?: string | undefined;
  /** The seconds to wait, for `too-many`. If they are undefined, the page says a minute. */
  readonly wait?: number | undefined;
}

/** Makes a page that says what happened, and what to do next. */
export function messagePage({ kind, retryPath, factors, wait }: MessagePageOptions): Page {
  const { title, text, next } = messages[kind];
  const advice = kind === 'too-many' && wait !== undefined ? waitText(wait) : next;
  return {
    title,
    content: html`<h1>${title}</h1>
<p>${text}</p>
<p>${advice}</p>
${retryPath === undefined ? undefined : html`<a class="button" href="${retryPath}">${tryAgain}</a>`}
${factors === undefined ? undefined : html`<a class="button" href="${factors}">${visitTexts.change}</a>`}`,
  };
}
