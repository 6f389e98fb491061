import { readFileSync } from 'node:fs';
import { testReadme } from '@sallyport/scripts/readme-options';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { optionsSchema } from './options.ts';
import { fieldNames } from './record.ts';
import { accessLists } from './testing/access-lists.ts';
import { complaints } from './testing/written-options.ts';
import { formatPattern } from './token.ts';

const url = new URL('../README.md', import.meta.url);
const readme = readFileSync(url, 'utf8');
const rights = readFileSync(new URL('../../../docs/redis.md', import.meta.url), 'utf8');

interface Example {
  readonly authenticators: readonly { readonly options: unknown }[];
  readonly options?: unknown;
}

testReadme({
  readme: url,
  jsonSchema: optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' }),
  defaults: { insecure: 'false' },
  parse,
  optionsIn: ({ authenticators, options }: Example) =>
    (options === undefined ? authenticators.map((one) => one.options) : [options]).map((one) =>
      withSecrets(one),
    ),
  examples: 2,
  complaints,
});

/** Replaces `{ env }` and `{ file }` by values. */
function withSecrets(value: unknown, key = ''): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value;
  const [name = '', ...others] = Object.keys(value);
  if (others.length === 0 && (name === 'env' || name === 'file')) {
    return key === 'url' ? 'rediss://gateway:from-a-file@redis.example.com:6379' : 'from a file';
  }
  return Object.fromEntries(
    Object.entries(value).map(([inner, one]) => [inner, withSecrets(one, inner)]),
  );
}

test('the rights in docs/redis.md are those that the tests run with', () => {
  const { json, hash } = accessLists;
  for (const { gateway, trackingGateway, issuer, sessionGateway, sessionIssuer } of [json, hash]) {
    expect(rights).toContain(`\nuser gateway on >PASSWORD ${gateway}\n`);
    expect(rights).toContain(`\nuser gateway on >PASSWORD ${trackingGateway}\n`);
    expect(rights).toContain(`\nuser gateway-admin on >PASSWORD ${issuer}\n`);
    expect(rights).toContain(`\nuser gateway on >PASSWORD ${sessionGateway}\n`);
    expect(rights).toContain(`\nuser gateway-admin on >PASSWORD ${sessionIssuer}\n`);
  }
});

test('the line of one user has all rights of the others, and what is added for hashes the rest', () => {
  const lines = rights.match(/^user .*$/gm) ?? [];
  const rightsIn = (line: string): readonly string[] => line.match(/(?<=\+)\S+/g) ?? [];
  const one = rightsIn(lines.find((line) => line.startsWith('user sallyport ')) ?? '');
  const [, added = ''] = /^- for `layout: hash` .*: `(.*)`\.$/m.exec(rights) ?? [];
  const forHash = rightsIn(added);
  const ofUsers = lines
    .filter((line) => line.includes('~sallyport:'))
    .map((line) => line.replace(/ \(.*\)$/, ''));
  const [hashes, others] = [true, false].map((isHash) =>
    ofUsers.filter((line) => line.includes('+eval_ro') === isHash),
  );
  const missing = (all: readonly string[] = [], allowed: readonly string[]) =>
    all.flatMap(rightsIn).filter((right) => !allowed.includes(right));
  expect([hashes?.length, others?.length]).toEqual([5, 8]);
  expect(missing(others, one)).toEqual([]);
  expect(missing(hashes, [...one, ...forHash])).toEqual([]);
});

test('the README has every field of a record, and the pattern for leaked tokens', () => {
  const [, list = ''] = /^The fields, .*\n\n((?:- .*\n)+)/m.exec(readme) ?? [];
  const named = list
    .split('\n')
    .flatMap((item) =>
      [...(item.split(':')[0] ?? '').matchAll(/`([^`]*)`/g)].map(([, name]) => name),
    );
  expect(named).toEqual([...fieldNames, 'x-…']);
  expect(readme).toContain(`\n\`\`\`\n${formatPattern}\n\`\`\`\n`);
});
