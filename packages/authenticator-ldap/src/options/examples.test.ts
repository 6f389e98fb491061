import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { complaints } from './testing/written-options.ts';

const folder = new URL('../../examples/', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, folder), 'utf8');
const names = readdirSync(folder);

test('there is an example for each directory that the README names', () => {
  expect(names.sort()).toEqual([
    '389-ds.yaml',
    'active-directory.yaml',
    'freeipa.yaml',
    'lldap.yaml',
    'openldap.yaml',
  ]);
});

test.each(names)('%s has valid options, and its password in a separate file', (name) => {
  const options = parse(read(name));
  expect(options.bind.password).toEqual({ file: 'secrets/ldap-password' });
  expect(
    complaints({ ...options, bind: { ...options.bind, password: 'as the gateway reads it' } }),
  ).toEqual([]);
});
