import { defaultTitle } from '../../config/login.ts';
import { type Html, html, render } from './html.ts';
import { script, scriptSource } from './script.ts';
import { style, styleSource } from './style.ts';

/** What a page shows below its header. */
export interface Page {
  /** What the page is about, and its state. */
  readonly title: string | Html;
  readonly content: Html;
  /** Whether the page has a part that needs the script. */
  readonly hasScript?: boolean;
}

/** Whose pages they are. */
export interface Brand {
  /** `login.title`. */
  readonly title: string;
  /** `login.logo`, as a `data:` URI. */
  readonly logo: string | undefined;
}

/** The brand while there is no config. */
export const defaultBrand: Brand = { title: defaultTitle, logo: undefined };

interface DocumentOptions {
  readonly publicUrl: string;
  readonly brand: Brand;
  /**
   * The port of the client on 127.0.0.1. Browsers also check the redirect after a form against `form-action`, and block it
   * without a word to the person.
   */
  readonly listener?: number | undefined;
}

/** A page as it is sent. */
export interface PageDocument {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Writes a page with its headers. The policy allows the style, and the script and the logo only where the page has them. */
export function writePage(page: Page, options: DocumentOptions): PageDocument {
  return { body: writeHtml(page, options.brand), headers: writeHeaders(page, options) };
}

/** It has no link to an icon: the content security policy allows none, and a browser would report it as blocked. */
function writeHtml({ title, content, hasScript = false }: Page, brand: Brand): string {
  return render(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<header>${brand.logo === undefined ? brand.title : html`<img src="${brand.logo}" alt="${brand.title}">`}</header>
<main>
${content}
</main>${
    hasScript
      ? html`
<script>${script}</script>`
      : undefined
  }
</body>
</html>
`);
}

function writeHeaders(
  { hasScript = false }: Page,
  { publicUrl, brand, listener }: DocumentOptions,
): Record<string, string> {
  const client = listener === undefined ? '' : ` http://127.0.0.1:${listener}`;
  const policy = [
    "default-src 'none'",
    `style-src ${styleSource}`,
    ...(hasScript ? [`script-src ${scriptSource}`] : []),
    ...(brand.logo === undefined ? [] : ['img-src data:']),
    `form-action 'self'${client}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ];
  return {
    'Cache-Control': 'no-store',
    'Content-Security-Policy': policy.join('; '),
    // With no-referrer, browsers send "Origin: null" with a form.
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    ...(publicUrl.startsWith('https:') && { 'Strict-Transport-Security': 'max-age=31536000' }),
  };
}
