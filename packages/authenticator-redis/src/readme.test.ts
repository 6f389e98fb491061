import { readFileSync } from 'node:fs';
import { optionsOfReadme, optionsOfSchema } from '@sallyport/scripts/readme-options';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { optionsSchema } from './options.ts';
import { fieldNames } from './record.ts';
import { accessLists } from './testing/access-lists.ts';
import { complaints } from './testing/written-options.ts';
import { formatPattern } from './token.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, block = '']) => block);

test('the README has every option with its default, and no other', () => {
  const schema = optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
  // The schema has no default for a flag.
  const shown = (key: string, value: unknown) => (key === 'insecure' ? 'false' : value?.toString());
  const expected = optionsOfSchema(schema).map(([key, value]) => [key, shown(key, value)]);
  expect(optionsOfReadme(readme).sort()).toEqual(expected.sort());
});

test('the options in the README are valid once their secrets are replaced', () => {
  const documents = blocks('yaml').map((block) => parse(block));
  const all = documents.flatMap(
    ({ authenticators, options }) => options ?? authenticators.map(({ options: one }: { options: unknown }) => one),
  );
  expect(all).toHaveLength(3);
  for (const options of all) expect(complaints(withSecrets(options))).toEqual([]);
});

/** Replaces `{ env }` and `{ file }` by values. */
function withSecrets(value: unknown, key = ''): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value;
  const [name = '', ...others] = Object.keys(value);
  if (others.length === 0 && (name === 'env' || name === 'file')) {
    return key === 'url' ? 'rediss://gateway:from-a-file@redis.example.com:6379' : 'from a file';
  }
  return Object.fromEntries(Object.entries(value).map(([inner, one]) => [inner, withSecrets(one, inner)]));
}

test('the rights in the README are those that the tests run with', () => {
  const { json, hash } = accessLists;
  for (const { gateway, trackingGateway, issuer, sessionGateway, sessionIssuer } of [json, hash]) {
    expect(readme).toContain(`\nuser gateway on >PASSWORD ${gateway}\n`);
    expect(readme).toContain(`\nuser gateway on >PASSWORD ${trackingGateway}\n`);
    expect(readme).toContain(`\nuser gateway-admin on >PASSWORD ${issuer}\n`);
    expect(readme).toContain(`\nuser gateway on >PASSWORD ${sessionGateway}\n`);
    expect(readme).toContain(`\nuser gateway-admin on >PASSWORD ${sessionIssuer}\n`);
  }
});

test('the README has every field of a record, and the pattern for leaked tokens', () => {
  const [, table = ''] = /^\| Field \| \| \|\n((?:\|.*\n)+)/m.exec(readme) ?? [];
  const rows = table.trim().split('\n').slice(1);
  const named = rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]*)`/g)].map(([, name]) => name));
  expect(named).toEqual([...fieldNames, 'x-…']);
  expect(readme).toContain(`\n\`\`\`\n${formatPattern}\n\`\`\`\n`);
});
