import { describe, expect, test } from 'vitest';
import { find, readPage, withoutCodeBlocks } from './testing/pages.ts';
import { textsIn, warningsIn } from './testing/source-texts.ts';

/** Messages of Kubernetes, kubectl, Go, OpenSSL and the command of "Find gaps", which are not in the source of the gateway. */
const foreign = new Set([
  'error: You must be logged in to the server (Unauthorized)',
  'error: You must be logged in to the server (…)',
  'unknown command "sallyport" for "kubectl"',
  '(the server has asked for the client to provide credentials)',
  'Unable to authenticate the request',
  'Failed to make webhook authenticator request',
  'no such host',
  'stat …: no such file or directory',
  'no configuration has been provided',
  'context was not found',
  'illegal base64 data',
  'i/o timeout',
  'context deadline exceeded',
  'x509: …',
  'remote error: tls: …',
  'EOF',
  'connection reset by peer',
  'broken pipe',
  'server gave HTTP response to HTTPS client',
  'No extensions in certificate',
  'executable kubectl-sallyport failed with exit code 1',
  'getting credentials: exec: executable kubectl-sallyport failed with exit code 1',
  "request header list larger than peer's advertised limit",
  '… 3 missing before 42',
  'tls: failed to verify certificate: x509: …',
  'tls: failed to verify certificate: x509',
  'executable kubectl-sallyport not found',
  'Error from server (Forbidden): … User "corp:jane" cannot …',
]);

/** The pages that quote messages of the gateway and its commands. */
const pages = [
  'docs/troubleshooting.md',
  'docs/running.md',
  'docs/monitoring.md',
  'docs/block-and-revoke.md',
  'docs/how-long-access-lasts.md',
  'docs/audit-trail.md',
  'docs/log-messages.md',
  'docs/helpdesk.md',
  'docs/login-browser.md',
  'docs/second-factor.md',
  'packages/kubectl-sallyport/README.md',
];

/** What the pages quote that is not a message: a command, a setting, a query, or the words of a usage. */
const notMessages = [
  /^(?:curl|kill|kubectl|npx|openssl|pnpm|read|redis-cli|sallyport(?:-helpdesk)?|talosctl|ulimit) | --?[a-z]/,
  /^(?:[\w.-]+: \S+|\{ \w+ \}|\w+(?:\.\w+)+|\W+)$/,
  / == | > 0$|^(?:min|rate)\b|^[A-Z]+ [A-Z]+$/,
  / \[?(?:USER|REASON)\b|^--\w/,
];
const isMessage = (quoted: string): boolean =>
  !notMessages.some((pattern) => pattern.test(quoted)) && !foreign.has(quoted);

const quotedIn = (text: string): string[] =>
  [...text.matchAll(/`([^`]+)`/g)].map(([, quoted = '']) => quoted.replaceAll(/\s+/g, ' '));

/** Finds the messages of a page: what it quotes with a space, and the bold beginnings of lists: `- **`throttled`**: …`. */
function messagesIn(markdown: string): string[] {
  const text = withoutCodeBlocks(markdown);
  const heads = [...text.matchAll(/^ *- \*\*(`.*?`)\*\*/gm)].flatMap(([, head = '']) =>
    quotedIn(head),
  );
  const all = [...heads, ...quotedIn(text).filter((quoted) => quoted.includes(' '))];
  return [...new Set(all)].filter(isMessage);
}

/** Lists the words of a message that do not vary: numbers and `…` stand for what does. */
const constantWordsOf = (message: string): string[] =>
  message
    .split(/…|\b\d\w*/)
    .map((words) => words.replaceAll(/^\W+|\W+$/g, ''))
    .filter((words) => words !== '');

describe('a message that the pages quote', async () => {
  const files = find('{apps/gateway,packages/*}/src/**/*.{ts,js,html}').filter(
    (file) => !/test|bench/.test(file),
  );
  const sources = await Promise.all(
    files.map(async (file) => {
      const source = await readPage(file);
      return file.endsWith('.html') ? [source] : textsIn(source);
    }),
  );
  const texts = sources.flat().join('\n');
  /** Finds the words that no text of the source has. */
  const missingFrom = (message: string) =>
    constantWordsOf(message).filter((words) => !texts.includes(words));
  const messages = await Promise.all(
    pages.map(async (page) =>
      messagesIn(await readPage(page)).map((message) => ({ page, message })),
    ),
  );

  test.each(messages.flat())('is in the source, as on $page: $message', ({ message }) => {
    expect(constantWordsOf(message)).not.toEqual([]);
    expect(missingFrom(message), 'no text of the source has these words').toEqual([]);
  });

  test('is missed when it is changed', () => {
    expect(missingFrom('config reload refused')).toEqual([]);
    expect(missingFrom('config reload declined')).toEqual(['config reload declined']);
    expect(missingFrom('too many lookups in passing (maxConcurrent …)')).toEqual([
      'too many lookups in passing (maxConcurrent',
    ]);
    // It is in a comment.
    expect(missingFrom('Optional. Defaults to 5s.')).toEqual(['Optional. Defaults to']);
  });
});

describe('docs/log-messages.md', () => {
  /** Warnings that name their fix: in the message, or in one of the fields that the page lists. */
  const withFix = [
    'SRV targets outside of their domain are not used: set serverName to use them',
    'account state not readable: a disabled account or a changed password ends no session',
    'account state readable in part: what only these attributes show ends no session',
    'client speaks plain HTTP to a TLS port: use https:// there',
    'config warning',
    "entries of the revocation list can't be opened and have no effect here: …",
    'login refused: several entries have its name; change user.filter so that it finds one',
    'removed keys of another type in the place of the revocation list, which is written back: …',
    'request path not found: token reviews go to POST /authenticate',
    'scheme and port of a server look mixed up',
    'service account refused',
    'some changed settings take effect at the next restart; all others are in force now',
    'the limit of open files is low: fewer connections are accepted',
    'user without a uid logged in: a later user with the same name gets their sessions',
    '…. Lower it, or raise timeout next to use',
    '…. Lower serverTimeout, or raise timeout',
  ];

  test('has each warning and error that does not name its fix', async () => {
    const files = find('{apps/gateway,packages/{authenticator-*,redis-connection}}/src/**/*.ts');
    const sources = await Promise.all(
      files.filter((file) => !/test|bench/.test(file)).map(readPage),
    );
    const warnings = [...new Set(sources.flatMap(warningsIn))];
    const patterns = messagesIn(await readPage('docs/log-messages.md')).map(
      (message) => new RegExp(`^${message.replaceAll(/[^\w …]/g, '\\$&').replaceAll('…', '.*')}$`),
    );
    const isQuoted = (warning: string) => patterns.some((pattern) => pattern.test(warning));
    expect(warnings.length).toBeGreaterThan(50);
    expect(warnings.filter((warning) => !isQuoted(warning)).sort()).toEqual(withFix);
  });
});
