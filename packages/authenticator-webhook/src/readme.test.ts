import { readFileSync } from 'node:fs';
import { optionsOfReadme, optionsOfSchema } from '@sallyport/scripts/readme-options';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { optionsSchema } from './options.ts';
import { complaints } from './testing/written-options.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

test('the README has every option with its default, and no other', () => {
  const schema = optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
  const shown = (value: unknown) => (Array.isArray(value) ? JSON.stringify(value) : value?.toString());
  const expected = optionsOfSchema(schema).map(([key, value]) => [key, key === 'insecure' ? 'false' : shown(value)]);
  expect(optionsOfReadme(readme).sort()).toEqual(expected.sort());
});

test('the options in the README are valid', () => {
  const blocks = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(([, block = '']) => parse(block));
  const all = blocks.flatMap(({ authenticators }) => authenticators[0].options);
  expect(all).toHaveLength(2);
  for (const options of all) expect(complaints(options)).toEqual([]);
});
