import { readFileSync } from 'node:fs';
import { optionsOfReadme, optionsOfSchema } from '@sallyport/scripts/readme-options';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { optionsSchema } from './schema.ts';
import { complaints } from './testing/written-options.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

test('the README has every option with its default, and no other', () => {
  const schema = optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
  // A missing option is explained in words where the schema has no default to show.
  const shown = (key: string, value: unknown) => {
    if (key === 'user.attributes.extra' || value === '') return undefined;
    return value === undefined && ['startTLS', 'insecure', 'groups.nested'].includes(key)
      ? 'false'
      : value;
  };
  const expected = optionsOfSchema(schema).map(([key, value]) => [
    key,
    shown(key, value)?.toString(),
  ]);
  expect(optionsOfReadme(readme).sort()).toEqual(expected.sort());
});

test('options in the README are valid, but for the secrets that the gateway puts in', () => {
  const blocks = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(([, block = '']) => parse(block));
  const whole = blocks.flatMap((block) => block.authenticators ?? []).map(({ options }) => options);
  const parts = blocks
    .filter(({ user }) => user !== undefined)
    .map((part) => ({ urls: ['ldaps://ldap.example.com'], ...part }));
  const all = [...whole, ...parts];
  expect(all.length).toBeGreaterThanOrEqual(2);
  for (const options of all) {
    expect(options.bind.password).toEqual({ file: 'secrets/ldap-password' });
    expect(
      complaints({ ...options, bind: { ...options.bind, password: 'as the gateway reads it' } }),
    ).toEqual([]);
  }
});
