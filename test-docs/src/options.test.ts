import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { documentedFilter } from '@sallyport/authenticator-ldap/documented';
import { fieldNames, formatPattern } from '@sallyport/authenticator-redis/documented';
import { describe, expect, test } from 'vitest';
import { readPage } from './testing/pages.ts';
import {
  complaintsOf,
  examplesIn,
  optionsOfReadme,
  optionsOfSchema,
  schemaOf,
  yamlIn,
} from './testing/readme-options.ts';

const readmeOf = (name: string) => readPage(`packages/authenticator-${name}/README.md`);

/**
 * The plugins with what their READMEs write in another way than the schema: `defaults`, where a schema has another one or none. Options
 * that are `hidden` are in the schema for their message only.
 */
const plugins = [
  {
    name: 'jwt',
    list: 'issuers',
    hidden: /expression$|^userValidationRules$/i,
    defaults: {
      algorithms: undefined,
      credentialId: 'false',
      'claimMappings.username.prefix': undefined,
      'claimMappings.groups.prefix': undefined,
    },
    examples: 2,
  },
  {
    name: 'ldap',
    defaults: {
      startTLS: 'false',
      insecure: 'false',
      'groups.nested': 'false',
      'user.attributes.extra': undefined,
    },
    examples: 1,
    // An example may be a part.
    needed: { urls: ['ldaps://ldap.example.com'] },
  },
  { name: 'redis', defaults: { insecure: 'false' }, examples: 2 },
  { name: 'webhook', defaults: { insecure: 'false' }, examples: 2 },
];

/** Loads a plugin as the gateway does, whose packages may have no types. */
async function loadPlugin(name: string): Promise<AuthenticatorPlugin<unknown>> {
  return (await import(`@sallyport/authenticator-${name}`)).default;
}

describe.each(plugins)('the README of $name', async ({ name, ...readme }) => {
  const [plugin, text] = [await loadPlugin(name), await readmeOf(name)];

  test('has every option with its default, and no other', () => {
    const defaults: Readonly<Record<string, string | undefined>> = readme.defaults;
    const shown = (option: string, fallback: unknown) => {
      if (Object.hasOwn(defaults, option)) return defaults[option];
      if (Array.isArray(fallback)) return JSON.stringify(fallback);
      return fallback === '' ? undefined : fallback?.toString();
    };
    const expected = optionsOfSchema(schemaOf(plugin, readme.list))
      .filter(([option]) => !readme.hidden?.test(option))
      .map(([option, fallback]) => [option, shown(option, fallback)]);
    expect(optionsOfReadme(text).sort()).toEqual(expected.sort());
  });

  test('has examples with valid options', async () => {
    const examples = examplesIn(text);
    expect(examples).toHaveLength(readme.examples);
    for (const options of examples)
      expect(await complaintsOf(plugin, { ...readme.needed, ...options })).toEqual([]);
    expect(yamlIn(text).join('\n')).not.toMatch(/assword: (?!\{ (?:file|env): )/);
  });
});

test('docs/directory.md shows for OpenLDAP a filter without a warning', async () => {
  const page = await readPage('docs/directory.md');
  expect(/^\| Any, with OpenLDAP \|.*\| `(\(.*\))` \|/m.exec(page)?.[1]).toBe(documentedFilter);
});

test('the README of redis has every field of a record, and the pattern for leaked tokens', async () => {
  const readme = await readmeOf('redis');
  const [, list = ''] = /^The fields, .*\n\n((?:- .*\n)+)/m.exec(readme) ?? [];
  const named = list
    .split('\n')
    .flatMap((item) =>
      [...(item.split(':')[0] ?? '').matchAll(/`([^`]*)`/g)].map(([, name]) => name),
    );
  expect(named).toEqual([...fieldNames, 'x-…']);
  expect(readme).toContain(`\n\`\`\`\n${formatPattern}\n\`\`\`\n`);
});
