import { describe, expect, test } from 'vitest';
import { checkDirectory } from './check.ts';
import type { SearchRequest, SearchResult, Server } from './connection/types.ts';
import {
  entry,
  type MemoryDirectory,
  memoryDirectory,
} from './directory/testing/memory-directory.ts';
import type { LdapDirectory } from './directory/types.ts';
import { parseDnTemplate } from './filter/templates.ts';
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

const signal = new AbortController().signal;
const bases = [entry(peopleBase), entry(groupsBase)];
const bind = { dn: 'cn=sallyport,dc=example,dc=com', password: 'a password' };
const options = ldapOptions({ groups: searchedGroups(), bind });
const { bind: _bind, ...anonymous } = options;

const check = (directory: LdapDirectory, changed: Partial<LdapOptions> = {}) =>
  checkDirectory(directory, { ...options, ...changed }, signal);

/** Creates a directory whose bases exist. The test answers a search with a filter. */
function searching(below: string, result: Partial<SearchResult>): MemoryDirectory {
  const onSearch = ({ base, scope }: SearchRequest) =>
    scope === 'sub' && base === below ? result : undefined;
  return memoryDirectory({ entries: bases, onSearch });
}

describe('check()', () => {
  test('looks for each base and searches with each filter with a name that no one has', async () => {
    const directory = memoryDirectory({ entries: bases });
    await check(directory);
    expect(directory.searches.map(({ base, scope, filter }) => [base, scope, filter.kind])).toEqual(
      [
        [peopleBase, 'base', 'present'],
        [peopleBase, 'sub', 'equality'],
        [groupsBase, 'base', 'present'],
        [groupsBase, 'sub', 'equality'],
      ],
    );
    expect(directory.searches.every(({ attributes }) => String(attributes) === '1.1')).toBe(true);
    expect(directory.searches.map(({ sizeLimit }) => sizeLimit)).toEqual([1, 2, 1, 101]);
    expect(directory.binds).toEqual([]);
  });

  test('looks for what a DN template and groups from an attribute need', async () => {
    const directory = memoryDirectory({ entries: bases });
    const user = userOptions({
      find: { by: 'dn', template: parseDnTemplate(`uid={username},${peopleBase}`) },
    });
    await check(directory, { user, groups: attributeGroups() });
    expect(directory.searches.map(({ base, scope }) => [base, scope])).toEqual([
      [peopleBase, 'base'],
      [groupsBase, 'base'],
    ]);
    const nested = { filter: filterTemplate('(member={dn})'), scope: 'sub' as const };
    await check(directory, { user, groups: attributeGroups({ nested }) });
    expect(directory.searches).toHaveLength(5);
  });

  test.each([
    { missing: peopleBase, option: 'user.base' },
    { missing: groupsBase, option: 'groups.base' },
  ])('says that the base $missing is not there', async ({ missing, option }) => {
    const message = `no LDAP server works:\n  ldaps://memory-1:636: ${option} "${missing}" does not exist there, or the service account is not allowed to see it: correct the DN, or let the account read that entry`;
    await expect(
      check(memoryDirectory({ entries: bases.filter(({ dn }) => dn !== missing) })),
    ).rejects.toThrow(message);
    const onSearch = ({ base }: SearchRequest) => (base === missing ? { code: 32 } : undefined);
    await expect(check(memoryDirectory({ entries: bases, onSearch }))).rejects.toThrow(message);
  });

  test.each([
    { code: 1, named: '1 operationsError' },
    { code: 8, named: '8 strongerAuthRequired' },
    { code: 48, named: '48 inappropriateAuthentication' },
    { code: 50, named: '50 insufficientAccessRights' },
  ])('says what to do where an anonymous search is refused with $code', async ({ code, named }) => {
    await expect(
      checkDirectory(memoryDirectory({ onSearch: () => ({ code }) }), anonymous, signal),
    ).rejects.toThrow(
      `the server refuses an anonymous search (${named}): give bind.dn and bind.password`,
    );
  });

  test.each([{ code: 32 }, { code: 0 }])(
    'says that a base may be hidden from an anonymous search: %j',
    async (result) => {
      await expect(
        checkDirectory(memoryDirectory({ onSearch: () => result }), anonymous, signal),
      ).rejects.toThrow(
        `user.base "${peopleBase}" does not exist there, or only a service account may see it: give bind.dn and bind.password`,
      );
    },
  );

  test.each([
    { code: 10, text: 'is on another server: it answered with a referral' },
    {
      code: 50,
      text: "can't be read: the service account is not allowed to search there: give it that right",
    },
    { code: 4096, text: "can't be read: 4096 other" },
  ])('says what the code $code means for a base', async ({ code, text }) => {
    await expect(check(memoryDirectory({ onSearch: () => ({ code }) }))).rejects.toThrow(text);
  });

  test.each([
    { code: 4, text: 'even a name that no one has finds more entries than the size limit' },
    {
      code: 11,
      text: "costs more than the server's limits allow: index the attributes of the filter, or raise the limits",
    },
    {
      code: 50,
      text: 'the service account is not allowed to search there: give it that right (50 insufficientAccessRights)',
    },
  ])('says what the code $code means for a search', async ({ code, text }) => {
    for (const [below, what] of [
      [peopleBase, 'a search for a user'],
      [groupsBase, 'a search for groups'],
    ] as const) {
      const start = `${what} below "${below}" does not work: `;
      const error: unknown = await check(searching(below, { code })).catch((reason) => reason);
      expect(String(error)).toContain(start);
      expect(String(error)).toContain(text);
    }
  });

  test('reports a filter that finds users for a name that no one has, which is fine for groups', async () => {
    const entries = [entry('cn=everyone')];
    await expect(check(searching(peopleBase, { entries }))).rejects.toThrow(
      'a name that no one has: correct user.filter',
    );
    await check(searching(groupsBase, { entries }));
  });

  test('searches by user.lookUpFilter as well, and reports one that does not work or finds users for a name that no one has', async () => {
    const lookUpFilter = filterTemplate('(|(mail={username})(ou=x))');
    const user = userOptions();
    if (user.find.by !== 'search') throw new Error('no search');
    const joined = { user: { ...user, find: { ...user.find, lookUpFilter } } };
    const directory = memoryDirectory({ entries: bases });
    await check(directory, joined);
    expect(directory.searches.map(({ filter }) => filter.kind)).toEqual([
      'present',
      'equality',
      'or',
      'present',
      'equality',
    ]);
    const answering = (result: Partial<SearchResult>) =>
      memoryDirectory({
        entries: bases,
        onSearch: ({ filter }) => (filter.kind === 'or' ? result : undefined),
      });
    await expect(check(answering({ entries: [entry('cn=everyone')] }), joined)).rejects.toThrow(
      'a search by user.lookUpFilter finds entries for a name that no one has: correct user.lookUpFilter',
    );
    await expect(check(answering({ code: 11 }), joined)).rejects.toThrow(
      `a search by user.lookUpFilter below "${peopleBase}" does not work: it costs more`,
    );
  });

  test('a referral is no error of a search, and is not followed', async () => {
    await check(searching(peopleBase, { code: 10 }));
  });

  const server = (host: string): Server => ({
    url: `ldaps://${host}:636`,
    host,
    port: 636,
    security: 'ldaps',
  });
  const reporting = (
    problems: Record<string, string | undefined>,
    isPassedOver = false,
  ): LdapDirectory => ({
    ...memoryDirectory(),
    check: async () =>
      Object.entries(problems).map(([host, problem]) => ({
        server: server(host),
        ...(problem && { problem, isPassedOver }),
      })),
  });

  test('only warns of servers that logins pass over, as long as another one works', async () => {
    expect(await check(reporting({ a: undefined, b: undefined }))).toEqual([]);
    expect(
      await check(reporting({ a: undefined, b: 'it is down', c: 'ldaps://c:636: busy' }, true)),
    ).toEqual([
      '2 of 3 LDAP servers do not work:\n  ldaps://b:636: it is down\n  ldaps://c:636: busy',
    ]);
    await expect(check(reporting({ a: 'it is down' }, true))).rejects.toThrow(
      'no LDAP server works:',
    );
    await expect(check(reporting({ a: 'x', b: 'y' }, true))).rejects.toThrow(
      'no LDAP server works:',
    );
  });

  test('warns once of what a further look finds on several servers, next to a server that is down', async () => {
    const memory = memoryDirectory({ entries: bases });
    const down = { server: server('b'), problem: 'it is down', isPassedOver: true };
    const directory = (...more: (typeof down)[]): LdapDirectory => ({
      ...memory,
      check: async (look, caller) => [
        ...(await memory.check(look, caller)),
        ...(await memory.check(look, caller)),
        ...more,
      ],
    });
    const look = async () => ['no one has groups'];
    expect(await checkDirectory(directory(), options, signal, look)).toEqual(['no one has groups']);
    expect(await checkDirectory(directory(down), options, signal, look)).toEqual([
      '1 of 3 LDAP servers do not work:\n  ldaps://b:636: it is down',
      'no one has groups',
    ]);
  });

  test('has one line for each server that does not work', async () => {
    await expect(check(reporting({ a: undefined, b: 'it has no such base' }))).rejects.toThrow(
      /^1 of 2 LDAP servers do not work:\n {2}ldaps:\/\/b:636: it has no such base$/,
    );
    await expect(check(reporting({ a: 'x', b: 'y' }))).rejects.toThrow(
      /^no LDAP server works:\n {2}ldaps:\/\/a:636: x\n {2}ldaps:\/\/b:636: y$/,
    );
    await expect(
      check(reporting({ a: 'no TCP connection to ldaps://a:636: refused' })),
    ).rejects.toThrow(/^no LDAP server works:\n {2}no TCP connection to ldaps:\/\/a:636: refused$/);
    await expect(check(reporting({}))).rejects.toThrow('no LDAP server is known');
  });
});
