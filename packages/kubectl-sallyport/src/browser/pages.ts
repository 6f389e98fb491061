import { createHash } from 'node:crypto';
import { printable } from '../text.ts';

/** A page of this command. */
export interface LocalPage {
  readonly status: number;
  readonly title: string;
  readonly text: string;
}

/** A page of the login server, which looks as the pages before it. */
export interface ServerPage {
  /** The last part of its path. */
  readonly name: 'logged-in' | 'code-refused' | 'cancelled';
}

/** What the browser shows at the end of a login. */
export type Page = LocalPage | ServerPage;

const localPage = (status: number, title: string, text: string) => ({ status, title, text });
const serverPage = (name: ServerPage['name']): ServerPage => ({ name });

export const pages = {
  loggedIn: serverPage('logged-in'),
  refused: serverPage('code-refused'),
  cancelled: serverPage('cancelled'),
  foreign: localPage(
    400,
    'Nothing to do',
    'No login waits for this address. You can close this page.',
  ),
  // The login server might be down.
  failed: localPage(
    500,
    'Not logged in',
    'The login failed. The terminal or tool in which you started it says why.',
  ),
  // The login server could know these names from the path alone, which anyone can write.
  otherUser: (user: string, account: string) =>
    localPage(
      403,
      'Not logged in',
      `This login is for ${printable(account)}, but ${printable(user)} logged in. Start again in the terminal or tool, and log in as ${printable(account)}.`,
    ),
};

/** As the login server's pages: `apps/gateway/src/login/pages/style.ts`. */
const style = `
:root { color-scheme: light dark; --ground: #f5f6f8; --paper: #ffffff; --ink: #1b2430; --quiet: #586374; --line: #dde1e8; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #11151b; --paper: #191f27; --ink: #e4e8ee; --quiet: #9aa6b6; --line: #2f3945; }
}
* { box-sizing: border-box; margin: 0; }
body {
  background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, Segoe UI, Roboto, sans-serif;
  overflow-wrap: anywhere; padding: 1.5rem min(1rem, 4vw);
}
header, main { max-width: 28rem; margin: 0 auto; }
header { color: var(--quiet); font-weight: 600; padding-bottom: .75rem; }
main {
  background: var(--paper); border: 1px solid var(--line); border-radius: .75rem;
  display: grid; gap: 1.25rem; padding: 1.5rem min(1.5rem, 5vw);
}
h1 { font-size: min(1.5rem, 10vw); line-height: 1.25; }
`;
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

export function renderPage({ title, text }: LocalPage): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} - Sallyport</title><style>${style}</style>
<header>Sallyport</header>
<main>
<h1>${title}</h1>
<p>${escaped(text)}</p>
</main>
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
