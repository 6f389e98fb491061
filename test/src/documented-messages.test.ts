import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDocument } from './testing/deployed.ts';
import { find, withoutCodeBlocks } from './testing/documents.ts';
import { rootFolder } from './testing/pnpm.ts';

/** What Kubernetes, Go, OpenSSL and the command of "Find gaps" say: the source of the gateway has none of it. */
const foreign = new Set([
  'error: You must be logged in to the server (Unauthorized)',
  'Unable to authenticate the request',
  'Failed to make webhook authenticator request',
  'no such host',
  'x509: …',
  'remote error: tls: …',
  "request header list larger than peer's advertised limit",
  '… 3 missing before 42',
]);

/** The tables whose first column quotes messages: even one of a single word is a message there. */
const tablesOfMessages = ['`msg`', '`reason`', 'It says', 'Its log', 'It prints', 'Message', 'Signs'];

const commands = /^(?:curl|kill|kubectl|npx|openssl|pnpm|read|sallyport|ulimit) | --?[a-z]/;
const settings = /^(?:[\w.-]+: \S+|\{ \w+ \})$/;
const queries = / == | > 0$|^(?:min|rate)\b/;
const redisCommands = /^[A-Z]+ [A-Z]+$/;
const isMessage = (text: string): boolean =>
  text.includes(' ') && ![commands, settings, queries, redisCommands].some((other) => other.test(text));

const quotedIn = (text: string): string[] =>
  [...text.matchAll(/`([^`]+)`/g)].map(([, quoted = '']) => quoted.replaceAll(/\s+/g, ' '));

/** What the first columns of the tables of messages quote. */
function quotedInTables(markdown: string): string[] {
  const tables = [...markdown.matchAll(/^ *\| (.*?) \|.*\n *\| --- .*\n((?: *\|.*\n?)*)/gm)];
  const ofMessages = tables.filter(([, head = '']) => tablesOfMessages.includes(head));
  const rows = ofMessages.flatMap(([, , body = '']) => body.split('\n'));
  return rows.flatMap((row) => quotedIn(/^ *\| (.*?) \|/.exec(row)?.[1] ?? ''));
}

async function quotedMessages(): Promise<string[]> {
  const markdown = withoutCodeBlocks(await readDocument('docs/operations.md'));
  const all = [...quotedInTables(markdown), ...quotedIn(markdown).filter(isMessage)];
  return [...new Set(all)].filter((message) => !foreign.has(message));
}

/** All source without comments. A text over several lines is one, and `…` is in place of each value within it. */
async function readSource(): Promise<string> {
  const files = find('{apps/gateway,packages/*}/src/**/*.{ts,js,html}').filter((file) => !/test|bench/.test(file));
  const texts = await Promise.all(files.map((file) => readFile(join(rootFolder, file), 'utf8')));
  return texts
    .join('\n')
    .replaceAll(/^\s*(?:\/\/|\/?\*).*$|\s\/\/ .*$/gm, '')
    .replaceAll(/['`"]\s*\+\s*['`"]/g, '')
    .replaceAll(/\$\{[^{}]* \? '\w*' : '(\w*s)'\}/g, '$1')
    .replaceAll(/\$\{[^{}]*\}/g, '…')
    .replaceAll(/…(?: …)+/g, '…');
}

/** The text with a value in place of each of its runs of words, where enough of the text is left. */
function withOneValue(text: string): string[] {
  const words = text.split(' ');
  const cuts = words.flatMap((_, from) => words.slice(from).map((_word, length) => [from, from + length + 1] as const));
  const variants = cuts.map(([from, to]) => [...words.slice(0, from), '…', ...words.slice(to)].join(' '));
  return variants.filter((variant) => variant.replaceAll('…', '').trim().length >= 10);
}

/** Whether the source has each constant part of a message. A part may have a value in it, as an example. */
function isIn(source: string, message: string): boolean {
  const trimmed = message.replaceAll(/\b(?:NAME|F|N(?=s?\b)|\d+)\w*/g, '…').replaceAll(/^(?:… ?)+|(?: ?…)+$/g, '');
  const has = (text: string) => [text, ...withOneValue(text)].some((variant) => source.includes(variant));
  return has(trimmed) || trimmed.split('…').every((part) => has(part.trim()));
}

describe('a message that docs/operations.md quotes', async () => {
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
