import { createHash } from 'node:crypto';
import { printable } from '../text.ts';

/** A page that the browser shows at the end of a login. */
export interface Page {
  readonly status: number;
  readonly title: string;
  readonly text: string;
}

const page = (status: number, title: string, text: string): Page => ({ status, title, text });

export const pages = {
  foreign: page(400, 'Nothing to do', 'No login waits for this address.'),
  refused: page(
    400,
    'Not logged in',
    'The login server did not accept this code. See the terminal.',
  ),
  failed: page(500, 'Not logged in', 'The login failed. The terminal or the program says why.'),
  cancelled: page(200, 'Cancelled', 'The login was cancelled. You can close this window.'),
  loggedIn: (user: string, cluster: string): Page =>
    page(
      200,
      'Logged in',
      `You are logged in to cluster ${printable(cluster)} as ${printable(user)}. You can close this window.`,
    ),
  otherUser: (user: string, account: string): Page =>
    page(
      403,
      'Not logged in',
      `This login is for ${printable(account)}, but ${printable(user)} logged in.`,
    ),
};

const style =
  'body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}';
const styleHash = createHash('sha256').update(style).digest('base64');

export const loopbackPageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  connection: 'close',
};

export function renderPage({ title, text }: Page): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>${title} - Sallyport</title><style>${style}</style>
<h1>${title}</h1>
<p>${escaped(text)}</p>
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
