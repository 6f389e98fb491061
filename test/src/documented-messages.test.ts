import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDocument } from './testing/deployed.ts';
import { find, withoutCodeBlocks } from './testing/documents.ts';
import { rootFolder } from './testing/pnpm.ts';

/** Messages of Kubernetes, kubectl, Go, OpenSSL and the command of "Find gaps", which are not in the source of the gateway. */
const foreign = new Set([
  'error: You must be logged in to the server (Unauthorized)',
  'error: You must be logged in to the server (…)',
  '(the server has asked for the client to provide credentials)',
  'Unable to authenticate the request',
  'Failed to make webhook authenticator request',
  'no such host',
  'i/o timeout',
  'context deadline exceeded',
  'x509: …',
  'remote error: tls: …',
  'EOF',
  'connection reset by peer',
  'broken pipe',
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

const commands =
  /^(?:curl|kill|kubectl|npx|openssl|pnpm|read|sallyport(?:-helpdesk)?|talosctl|ulimit) | --?[a-z]/;
const settings = /^(?:[\w.-]+: \S+|\{ \w+ \})$/;
const keyPaths = /^\w+(?:\.\w+)+$/;
const usages = / \[?(?:USER|REASON)\b|^--\w/;
const queries = / == | > 0$|^(?:min|rate)\b/;
const redisCommands = /^[A-Z]+ [A-Z]+$/;
const isMessage = (text: string): boolean =>
  text.includes(' ') &&
  ![commands, settings, usages, queries, redisCommands].some((other) => other.test(text));

const quotedIn = (text: string): string[] =>
  [...text.matchAll(/`([^`]+)`/g)].map(([, quoted = '']) => quoted.replaceAll(/\s+/g, ' '));

/** Finds the messages with which entries of lists begin, which are bold: `- **`throttled`**: …`. */
function quotedInEntries(markdown: string): string[] {
  const heads = [...markdown.matchAll(/^ *- \*\*(`.*?`)\*\*/gm)];
  return heads
    .flatMap(([, head = '']) => quotedIn(head))
    .filter((one) => !keyPaths.test(one) && !usages.test(one));
}

async function quotedMessages(): Promise<string[]> {
  const markdown = (await Promise.all(pages.map(readDocument))).map(withoutCodeBlocks).join('\n');
  const all = [...quotedInEntries(markdown), ...quotedIn(markdown).filter(isMessage)];
  return [...new Set(all)].filter((message) => !foreign.has(message));
}

/** Messages that the source composes, with the parts that it has, which may be in several files. `…` replaces a value. */
const composed: Readonly<Record<string, readonly string[]>> = {
  'user.base "…" does not exist there': ['… "…" does not exist there', 'user.base'],
  'the backend answers, but this lookup did not end within 3s': [
    'the backend answers, but this lookup did not end …',
    '`within …`',
  ],
  '[!]authenticator/corp failed: reason withheld, does not affect readiness': [
    '[!]… failed: reason withheld, does not affect readiness',
    '`authenticator/…`',
  ],
  "the session store can't be asked now": [
    "unavailable('the session store')",
    "… can't be asked now: try again later",
  ],
  "the session can't be asked now": [
    "unavailable('the session')",
    "… can't be asked now: try again later",
  ],
  'has none of the names in server.tls.clientNames: …': [
    'has none of the names in server.tls.clientNames',
  ],
  'authenticator corp unavailable': ['authenticators … unavailable`'],
  'authenticators corp, robots unavailable': ['authenticators … unavailable`'],
  '… is not counted: last heard of 10m ago': ['… is not counted: …', '`last heard of … ago`'],
  'authenticator could not be closed': ['… could not be closed', "closeMade('authenticator'"],
  'the token has no value of …': ['the token has … of …, by which', "'no value'"],
  'the lookup of … found …, whose … has another value': [
    '`the lookup of "…" found …`',
    '`…, whose … has another value',
  ],
  'account in corp: locked': ['account in …: …', "refused('locked'"],
  'account in corp: not found': [
    'account in …: …',
    "account: authenticator.revalidate ? 'not found'",
  ],
  'account in corp: disabled': ['account in …: …', "refused('disabled'"],
  'account in corp: password-expired': ['account in …: …', "refused('password-expired'"],
  'account in corp: nothing known against the user': ['account in …: …'],
  'fix: run: …': ['`  fix: …'],
  'blocked as user corp:jane until …': ['blocked as … …', '… until …, by …'],
  'blocked as group …': ['blocked as … …'],
  '1 session was sealed with other keys …': ['sealed with other keys than', "'1 session was'"],
  'it answered 400: cluster is not known: write one of …': [
    'it answered …',
    'cluster is not known: …',
    'write one of …',
  ],
  'it answered 400: cluster is not known': ['it answered …', 'cluster is not known: …'],
  'it answered 403: the Host must be the host of login.publicUrl': [
    'it answered …',
    "403, 'forbidden', 'the Host must be the host of login.publicUrl'",
  ],
  "can't verify its certificate: it is for …, and not for …": [
    "can't verify its certificate: it …, and not for …",
    '`is for …`',
  ],
  'the password was not sent: it was refused 3m ago': [
    'the password was not sent: it was refused …',
    '… ago`',
  ],
  "it answered 503: the login can't be checked now": [
    'it answered …',
    "the login can't be checked now",
  ],
  "503: the login can't be checked now": ["the login can't be checked now"],
  'not logged in to cluster prod, and the session has ended': [
    'not logged in to cluster …',
    'the session has ended',
  ],
  'the name, the password or the code is wrong, or this user is not allowed to log in': [
    '… is wrong, or this user is not allowed to log in',
    "'the name, the password or the code'",
  ],
  'the code is wrong: type the code that the app shows now': [
    'the code is wrong: …',
    "'type the code that the app shows now'",
  ],
  'this machine is short of file descriptors': [
    'this machine is short of …',
    "'file descriptors: raise",
  ],
};

/** Reads each file of the source without comments. A text over several lines is one, and `…` replaces each value within it. */
async function readSource(): Promise<readonly string[]> {
  const files = find('{apps/gateway,packages/*}/src/**/*.{ts,js,html}').filter(
    (file) => !/test|bench/.test(file),
  );
  const texts = await Promise.all(files.map((file) => readFile(join(rootFolder, file), 'utf8')));
  return texts.map((text) =>
    text
      .replaceAll(/^\s*(?:\/\/|\/?\*).*$|\s\/\/ .*$/gm, '')
      .replaceAll(/['`"]\s*\+\s*['`"]/g, '')
      .replaceAll(/\$\{[^{}]* \? '\w*' : '(\w*s)'\}/g, '$1')
      .replaceAll(/\$\{[^{}]*\}/g, '…'),
  );
}

/** Whether one file has each constant part of a message: `…`, NAME, F, N, numbers and names of the examples stand for values. */
function isIn(source: readonly string[], message: string): boolean {
  const known = composed[message];
  if (known !== undefined) return known.every((part) => source.some((text) => text.includes(part)));
  const parts = message
    .split(/…|\b(?:(?:NAME|F|N(?=s?\b)|\d+)\w*|corp(?::jane)?\b|partner\b)/)
    .map((part) => part.trim());
  return source.some((text) => parts.every((part) => text.includes(part)));
}

describe('a message that the documents quote', async () => {
  const source = await readSource();

  test.each(await quotedMessages())('is in the source: %s', (message) => {
    expect(isIn(source, message)).toBe(true);
  });

  test('is missed when it is changed', () => {
    expect(isIn(source, 'config reload refused')).toBe(true);
    expect(isIn(source, 'config reload declined')).toBe(false);
    expect(isIn(source, 'nothing was done: the token carries a key')).toBe(false);
    expect(isIn(source, 'too many lookups in passing (maxConcurrent N)')).toBe(false);
    // Each of its parts is somewhere, but not in one file.
    expect(isIn(source, 'not logged in to cluster … Run: …')).toBe(false);
  });
});
