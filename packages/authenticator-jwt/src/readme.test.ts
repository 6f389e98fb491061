import { readFileSync } from 'node:fs';
import { optionsOfReadme } from '@sallyport/scripts/readme-options';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { optionsSchema } from './options.ts';
import { complaints } from './testing/written-options.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

interface Described {
  readonly default?: unknown;
  readonly description?: string;
  readonly items?: Described;
  readonly properties?: Readonly<Record<string, Described>>;
}

/** Keys of CEL are in the schema for their message only. */
function documented({ properties = {} }: Described, path = ''): [string, unknown][] {
  return Object.entries(properties).flatMap(([key, inner]): [string, unknown][] => {
    if (inner.description?.startsWith('CEL')) return [];
    return inner.properties === undefined ? [[path + key, inner.default]] : documented(inner, `${path}${key}.`);
  });
}

test('the README has every option with its default, and no other', () => {
  const schema = optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' }) as Described;
  const written: Readonly<Record<string, string | undefined>> = {
    algorithms: undefined,
    credentialId: 'false',
    'claimMappings.username.prefix': undefined,
    'claimMappings.groups.prefix': undefined,
  };
  const shown = (key: string, value: unknown) => {
    if (key in written) return written[key];
    return Array.isArray(value) ? JSON.stringify(value) : value?.toString();
  };
  const expected = documented(schema.properties?.issuers?.items ?? {}).map(([key, value]) => [key, shown(key, value)]);
  expect(optionsOfReadme(readme).sort()).toEqual(expected.sort());
});

test('the options in the README are valid', () => {
  const blocks = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(([, block = '']) => parse(block));
  const all = blocks.flatMap(({ authenticators, options }) => options ?? authenticators[0].options);
  expect(all).toHaveLength(3);
  for (const options of all) expect(complaints(options)).toEqual([]);
});
