import { AuthenticatorError } from '@sallyport/authenticator';
import { expect, test } from 'vitest';
import { checkDirectory } from './check.ts';
import type { SearchRequest, SearchResult } from './connection/types.ts';
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
import { createPresenceCheck } from './presence.ts';

const { signal } = new AbortController();
const bases = [entry(peopleBase), entry(groupsBase)];
const alice = entry(`uid=alice,${peopleBase}`, { uid: ['alice'] });
const devs = entry(`cn=devs,${groupsBase}`, { member: [`uid=alice,${peopleBase}`] });

/** Checks once for each list of entries. `answer` answers the searches with presence. */
async function checks(
  changed: Partial<LdapOptions>,
  lists: readonly (typeof bases)[],
  answer: (request: SearchRequest) => Partial<SearchResult> | undefined = () => undefined,
) {
  const options = ldapOptions({ groups: searchedGroups(), ...changed });
  const look = createPresenceCheck(options);
  const asked: SearchRequest[] = [];
  const warnings: (readonly string[])[] = [];
  for (const entries of lists) {
    const onSearch = (request: SearchRequest) => {
      if (request.timeLimit === undefined) return undefined;
      asked.push(request);
      return answer(request);
    };
    warnings.push(
      await checkDirectory(memoryDirectory({ entries, onSearch }), options, signal, look),
    );
  }
  return { asked, warnings };
}

const noUsers = `no one can log in: no entry below "${peopleBase}" matches (uid=*), the filter of options.user for any value. Correct the base or the filter in options.user, let the service account see the entries, or create the first user`;
const noGroups = `no one has groups: no entry below "${groupsBase}" matches (member=*), the filter of options.groups for any value. Correct the base or the filter in options.groups, let the service account see the entries, or create the first group with a member`;

test('a directory without a user or a group is warned of until it has one, and then not searched again', async () => {
  const all = [...bases, alice, devs];
  const { asked, warnings } = await checks({}, [bases, [...bases, alice], all, bases]);
  expect(warnings).toEqual([[noUsers, noGroups], [noGroups], [], []]);
  expect(asked).toHaveLength(6);
  for (const { attributes, sizeLimit, timeLimit } of asked) {
    expect({ attributes, sizeLimit, timeLimit }).toEqual({
      attributes: ['1.1'],
      sizeLimit: 1,
      timeLimit: 1,
    });
  }
});

test('one base with an entry is enough, and all bases and the scope are named', async () => {
  const other = 'ou=partners,dc=example,dc=com';
  const user = userOptions({
    find: {
      by: 'search',
      bases: [other, peopleBase],
      scope: 'one',
      filter: filterTemplate('(&(a=b)(uid={username}))'),
    },
  });
  const place = [...bases, entry(other), devs];
  const { warnings } = await checks({ user }, [
    place,
    [...place, entry(`x,${peopleBase}`, { a: ['b'], uid: ['x'] })],
  ]);
  expect(warnings).toEqual([
    [
      expect.stringContaining(
        `no entry directly below "${other}" or "${peopleBase}" matches (&(a=b)(uid=*)), the`,
      ),
    ],
    [],
  ]);
});

test('groups without an attribute of their name are warned of', async () => {
  const groups = (name: string) => searchedGroups({ name: parseNameTemplate(name) });
  const named = entry(`cn=ops,${groupsBase}`, { member: ['x'], mail: ['ops@example.com'] });
  const lists = [
    [...bases, alice, devs],
    [...bases, alice, devs, named],
  ];
  expect((await checks({ groups: groups('team:{mail}') }, lists)).warnings).toEqual([
    [
      `no group has a name, and logins of its members fail: no entry below "${groupsBase}" matches (&(member=*)(mail=*)), the filter of options.groups with the attributes of options.groups.name for any value. Correct options.groups.name, or let the service account read its attributes`,
    ],
    [],
  ]);
  expect((await checks({ groups: groups('{cn} of {dn}') }, lists)).warnings).toEqual([[], []]);
});

test.each([3, 4, 10, 11, 50, 53])(
  'the answer %i to so broad a search is no warning',
  async (code) => {
    const { asked, warnings } = await checks({}, [bases, bases], () => ({ code }));
    expect([asked.length, warnings]).toEqual([2, [[], []]]);
  },
);

test('a search that fails is no warning', async () => {
  const { warnings } = await checks({}, [bases], () => {
    throw new AuthenticatorError('unavailable', 'no answer within 5s');
  });
  expect(warnings).toEqual([[]]);
});

test('nothing is searched for where a filter cannot be tried without a name, or there is none', async () => {
  const chain = searchedGroups({
    filter: filterTemplate('(member:1.2.840.113556.1.4.1941:={dn})'),
  });
  const find = {
    by: 'search',
    bases: [peopleBase],
    scope: 'sub',
    filter: filterTemplate('(mail={username}@x)'),
  } as const;
  const byDn = { by: 'dn', template: parseDnTemplate(`uid={username},${peopleBase}`) } as const;
  for (const changed of [
    { user: userOptions({ find: byDn }), groups: attributeGroups() },
    { user: userOptions({ find: byDn }), groups: chain },
    { user: userOptions({ find }), groups: attributeGroups() },
  ]) {
    const asked: SearchRequest[] = [];
    const look = createPresenceCheck(ldapOptions(changed));
    const search = async (request: SearchRequest) => {
      asked.push(request);
      return { code: 0, diagnosticMessage: '', entries: [] };
    };
    expect([await look(search), asked]).toEqual([[], []]);
  }
});

test('a filter for users of other authenticators that finds no user is warned of, unless no one can log in', async () => {
  const find = {
    by: 'search',
    bases: [peopleBase],
    scope: 'sub',
    filter: filterTemplate('(uid={username})'),
    lookUpFilter: filterTemplate('(mail={username})'),
  } as const;
  const changed = { user: userOptions({ find }), groups: attributeGroups() };
  const contact = entry(`cn=contact,${peopleBase}`, { mail: ['a@x'] });
  const both = entry(`uid=bob,${peopleBase}`, { uid: ['bob'], mail: ['b@x'] });
  const lists = [bases, [...bases, alice, contact], [...bases, alice, both]];
  const noJoin = `no user of another authenticator is found: no entry below "${peopleBase}" matches (&(mail=*)(uid=*)), options.user.lookUpFilter with the filter of options.user for any value. Correct the base or the filter in options.user, let the service account see the entries, or create the first user`;
  expect((await checks(changed, lists)).warnings).toEqual([[noUsers], [noJoin], []]);
  const part = { ...find, lookUpFilter: filterTemplate('(mail={username}@x)') };
  const untested = { ...changed, user: userOptions({ find: part }) };
  expect((await checks(untested, [[...bases, alice]])).warnings).toEqual([[]]);
});
