import { recordingContext } from '@sallyport/authenticator/conformance';
import { expect, test } from 'vitest';
import { checkDirectory } from './check.ts';
import type { SearchRequest } from './connection/types.ts';
import { entry, memoryDirectory } from './directory/testing/memory-directory.ts';
import { parseDnTemplate, parseNameTemplate } from './filter/templates.ts';
import {
  attributeGroups,
  filterTemplate,
  groupsBase,
  ldapOptions,
  peopleBase,
  searchedGroups,
  userOptions,
} from './options/testing/ldap-options.ts';
import type { LdapOptions } from './options/types.ts';
import { createSchemaCheck } from './schema-check.ts';

const { signal } = new AbortController();
const schema = [
  "( 2.5.4.0 NAME 'objectClass' EQUALITY objectIdentifierMatch )",
  "( 0.9.2342.19200300.100.1.1 NAME ( 'uid' 'userid' ) DESC 'NAME in a (description)' )",
  "( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name )",
  "( 2.5.4.31 NAME 'member' SUP distinguishedName )",
  "( 1.2.840.113556.1.2.102 NAME 'memberOf' )",
];

/** Creates a directory that names its subschema at these entries. */
function directoryOf(
  attributeTypes: readonly string[] = schema,
  dns: readonly string[] = [peopleBase],
) {
  const named = (dn: string) =>
    entry(dn, dns.includes(dn) ? { subschemaSubentry: ['cn=Subschema'] } : {});
  return memoryDirectory({
    entries: [
      ...[peopleBase, groupsBase, ''].map(named),
      entry('cn=Subschema', { attributeTypes }),
    ],
  });
}

async function warnings(options: Partial<LdapOptions>, directory = directoryOf()) {
  const { context, lines } = recordingContext({ pluginName: 'ldap', baseDirectory: '/' });
  const whole = ldapOptions({ groups: searchedGroups(), ...options });
  const look = createSchemaCheck(whole, context.logger);
  await checkDirectory(directory, whole, signal, (search) => look(search).then(() => []));
  return lines.map(({ fields }) => fields);
}

const user = (filter: string, attributes: object = {}) =>
  userOptions({
    find: { by: 'search', bases: [peopleBase], scope: 'sub', filter: filterTemplate(filter) },
    attributes: { username: 'uid', extra: {}, ...attributes },
  });

test('attributes that are in the schema, by any of their names, in any case, are not warned of', async () => {
  expect(await warnings({})).toEqual([]);
  expect(
    await warnings({ user: user('(&(objectClass=*)(USERID={username})(!(cn;lang-en=x)))') }),
  ).toEqual([]);
  expect(
    await warnings({ user: user('(2.5.4.99={username})'), groups: attributeGroups() }),
  ).toEqual([]);
  expect(await warnings({ groups: searchedGroups({ name: parseNameTemplate('dn') }) })).toEqual([]);
});

test('each one that is not is warned of, with its option', async () => {
  const attributes = {
    username: 'loginName',
    uid: 'uuid',
    email: 'mail',
    extra: { 'example.com/x': 'dept' },
  };
  expect(
    await warnings({ user: user('(|(uidd={username})(&(uidd=x)(cnn:dn:=y)))', attributes) }),
  ).toEqual([
    { option: 'user.filter', attribute: 'uidd' },
    { option: 'user.filter', attribute: 'cnn' },
    ...['loginName', 'uuid', 'mail', 'dept'].map((attribute) => ({
      option: 'user.attributes',
      attribute,
    })),
  ]);
  const groups = searchedGroups({
    filter: filterTemplate('(|(memberr={dn})(member={attribute:gidd}))'),
    name: parseNameTemplate('team:{samName}'),
  });
  expect(await warnings({ groups })).toEqual([
    { option: 'groups.filter', attribute: 'memberr' },
    { option: 'groups.filter', attribute: 'gidd' },
    { option: 'groups.name', attribute: 'samName' },
  ]);
  expect(await warnings({ groups: attributeGroups({ attribute: 'membersOf' }) })).toEqual([
    { option: 'groups.attribute', attribute: 'membersOf' },
  ]);
});

test('an attribute of the filter for users of other authenticators is looked for as well', async () => {
  const { find, ...rest } = user('(uid={username})');
  const lookUpFilter = filterTemplate('(|(uid={username})(maill={username}))');
  expect(
    await warnings({ user: { ...rest, find: { ...find, lookUpFilter } as typeof find } }),
  ).toEqual([{ option: 'user.lookUpFilter', attribute: 'maill' }]);
});

test('the schema is looked for at the users first, and then at the root', async () => {
  const wrong = { user: user('(uidd={username})') };
  expect(await warnings(wrong, directoryOf(schema, ['']))).toHaveLength(1);
  const byDn = { by: 'dn', template: parseDnTemplate(`uid={username},${peopleBase}`) } as const;
  const groups = searchedGroups({ name: parseNameTemplate('samName') });
  expect(await warnings({ user: userOptions({ find: byDn }), groups })).toHaveLength(1);
});

test("nothing is warned of where the schema is not shown, not whole, or can't be read", async () => {
  const wrong = { user: user('(uidd={username})') };
  expect(await warnings(wrong, directoryOf(schema, []))).toEqual([]);
  expect(await warnings(wrong, directoryOf(schema.slice(1)))).toEqual([]);
  expect(await warnings(wrong, directoryOf([]))).toEqual([]);
  const onSearch = ({ attributes }: SearchRequest) => {
    if (attributes.includes('subschemaSubentry')) throw new Error('it takes too long');
    return undefined;
  };
  const entries = [entry(peopleBase), entry(groupsBase)];
  expect(await warnings(wrong, memoryDirectory({ entries, onSearch }))).toEqual([]);
});

test('it is read only once, however often check() is called', async () => {
  const directory = directoryOf();
  const whole = ldapOptions({ user: user('(uidd={username})') });
  const { context, lines } = recordingContext({ pluginName: 'ldap', baseDirectory: '/' });
  const look = createSchemaCheck(whole, context.logger);
  for (const _ of [1, 2, 3]) {
    await checkDirectory(directory, whole, signal, (search) => look(search).then(() => []));
  }
  expect(lines).toHaveLength(1);
  expect(
    directory.searches.filter(({ attributes }) => attributes.includes('attributeTypes')),
  ).toHaveLength(1);
});
