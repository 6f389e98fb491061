import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDocument } from './testing/deployed.ts';
import { find, withoutCodeBlocks } from './testing/documents.ts';
import { rootFolder } from './testing/pnpm.ts';

/** Messages of Kubernetes, kubectl, Go, OpenSSL and the command of "Find gaps", which are not in the source of the gateway. */
const foreign = new Set([
  'error: You must be logged in to the server (Unauthorized)',
  'Unable to authenticate the request',
  'Failed to make webhook authenticator request',
  'no such host',
  'i/o timeout',
  'context deadline exceeded',
  'x509: …',
  'remote error: tls: …',
  "request header list larger than peer's advertised limit",
  '… 3 missing before 42',
  'tls: failed to verify certificate: x509: …',
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
];

const commands =
  /^(?:curl|kill|kubectl|npx|openssl|pnpm|read|sallyport(?:-helpdesk)?|talosctl|ulimit) | --?[a-z]/;
const settings = /^(?:[\w.-]+: \S+|\{ \w+ \})$/;
const keyPaths = /^\w+(?:\.\w+)+$/;
const usages = / \[?(?:USER|REASON)\b/;
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
  return heads.flatMap(([, head = '']) => quotedIn(head)).filter((one) => !keyPaths.test(one));
}

async function quotedMessages(): Promise<string[]> {
  const markdown = (await Promise.all(pages.map(readDocument))).map(withoutCodeBlocks).join('\n');
  const all = [...quotedInEntries(markdown), ...quotedIn(markdown).filter(isMessage)];
  return [...new Set(all)].filter((message) => !foreign.has(message));
}

/** Messages that the source composes, with the part that it has. `…` replaces a value. */
const composed: Readonly<Record<string, string>> = {
  'user.base "…" does not exist there': '… "…" does not exist there',
  'the backend answers, but this lookup did not end within 3s':
    'the backend answers, but this lookup did not end …',
  '[!]authenticator/corp failed: reason withheld, does not decide':
    '[!]… failed: reason withheld, does not decide',
  'has none of the names in server.tls.clientNames: …':
    'has none of the names in server.tls.clientNames',
  'authenticator corp unavailable': '… unavailable',
  'authenticators corp, robots unavailable': '… unavailable',
  '… is not counted: last heard of 10m ago': '… is not counted: …',
  'authenticator could not be closed': '… could not be closed',
  'account in corp: locked': 'account in …: …',
  'account in corp: not found': 'account in …: …',
  'account in corp: disabled': 'account in …: …',
  'account in corp: password-expired': 'account in …: …',
  'account in corp: nothing known against the user': 'account in …: …',
  'blocked as user corp:jane until …': 'blocked as … …',
  'blocked as group …': 'blocked as … …',
  '1 session was sealed with other keys …': 'sealed with other keys than',
  'it answered 400: cluster is not known: write one of …': 'cluster is not known: …',
  'this machine is short of file descriptors': 'this machine is short of …',
};

/** Reads all source without comments. A text over several lines is one, and `…` replaces each value within it. */
async function readSource(): Promise<string> {
  const files = find('{apps/gateway,packages/*}/src/**/*.{ts,js,html}').filter(
    (file) => !/test|bench/.test(file),
  );
  const texts = await Promise.all(files.map((file) => readFile(join(rootFolder, file), 'utf8')));
  return texts
    .join('\n')
    .replaceAll(/^\s*(?:\/\/|\/?\*).*$|\s\/\/ .*$/gm, '')
    .replaceAll(/['`"]\s*\+\s*['`"]/g, '')
    .replaceAll(/\$\{[^{}]* \? '\w*' : '(\w*s)'\}/g, '$1')
    .replaceAll(/\$\{[^{}]*\}/g, '…');
}

/** Whether the source has each constant part of a message: `…`, NAME, F, N, numbers and names of the examples stand for values. */
function isIn(source: string, message: string): boolean {
  const known = composed[message];
  if (known !== undefined) return source.includes(known);
  return message
    .split(/…|\b(?:(?:NAME|F|N(?=s?\b)|\d+)\w*|corp(?::jane)?\b|partner\b)/)
    .every((part) => source.includes(part.trim()));
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
  });
});
