import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ServerError } from '../connection/server-error.ts';
import type { LdapEntry, SearchRequest } from '../connection/types.ts';
import {
  entry,
  type MemoryDirectoryOptions,
  memoryDirectory,
} from '../directory/testing/memory-directory.ts';
import type { Filter } from '../filter/filter.ts';
import { parseNameTemplate } from '../filter/templates.ts';
import {
  attributeGroups,
  filterTemplate,
  groupsBase,
  peopleBase,
  searchedGroups,
} from '../options/testing/ldap-options.ts';
import type { GroupOptions } from '../options/types.ts';
import {
  findGroups,
  type Group,
  groupAttributes,
  userAnswerBytes,
  walkGroups,
} from './find-groups.ts';

const signal = new AbortController().signal;
const userDn = `uid=alice,${peopleBase}`;
const dnOf = (name: string) => `cn=${name},${groupsBase}`;
const groupOf = (name: string, ...members: string[]) =>
  entry(dnOf(name), { cn: [name], member: members });

async function groups(
  options: GroupOptions,
  script: MemoryDirectoryOptions,
  user: LdapEntry = entry(userDn, { uid: ['alice'] }),
) {
  const directory = memoryDirectory(script);
  const call = { signal };
  const found = findGroups(
    directory,
    options,
    { dn: userDn, username: 'alice', entry: user },
    call,
  );
  await found.catch(() => {});
  return { directory, found };
}

const byMember = (dn: string): Filter => ({
  kind: 'equality',
  attribute: 'member',
  value: Buffer.from(dn),
});

describe('groups by search', () => {
  test('are those that the filter finds, by name, each once, in a stable order', async () => {
    const entries = [
      groupOf('web', userDn),
      groupOf('api', userDn),
      groupOf('other', `uid=bob,${peopleBase}`),
      entry(`cn=web,ou=more,${groupsBase}`, { cn: ['web'], member: [userDn] }),
    ];
    const { directory, found } = await groups(searchedGroups(), { entries });
    expect(await found).toEqual(['api', 'web']);
    expect(directory.searches).toEqual([
      {
        base: groupsBase,
        scope: 'sub',
        filter: byMember(userDn),
        attributes: ['cn'],
        sizeLimit: 101,
      },
    ]);
  });

  test('may be looked for by the name and by attributes of the user', async () => {
    const filter = filterTemplate('(|(memberUid={username})(gidNumber={attribute:GIDnumber}))');
    const options = searchedGroups({ filter });
    const entries = [
      entry(dnOf('named'), { cn: ['named'], memberUid: ['alice'] }),
      entry(dnOf('primary'), { cn: ['primary'], gidNumber: ['500'] }),
    ];
    const user = entry(userDn, { uid: ['alice'], gidNumber: ['500'] });
    expect(groupAttributes(options)).toEqual(['GIDnumber']);
    expect(await (await groups(options, { entries }, user)).found).toEqual(['named', 'primary']);
    expect(await (await groups(options, { entries })).found).toEqual(['named']);
  });

  test('without a value to look for, no server is asked', async () => {
    const options = searchedGroups({ filter: filterTemplate('(gidNumber={attribute:gidNumber})') });
    const { directory, found } = await groups(options, {});
    expect(await found).toEqual([]);
    expect(directory.searches).toEqual([]);
  });

  test('of groups cost one search a level and base, on one connection', async () => {
    const bases = [groupsBase, 'ou=roles,dc=example,dc=com'];
    const entries = [
      groupOf('a', userDn),
      groupOf('b', userDn),
      groupOf('c', dnOf('a'), dnOf('b'), dnOf('d')),
      entry('cn=d,ou=roles,dc=example,dc=com', { cn: ['d'], member: [dnOf('b')] }),
      groupOf('e', dnOf('c')),
      groupOf('a-again', dnOf('e')),
    ];
    const { directory, found } = await groups(searchedGroups({ bases, nested: true }), { entries });
    expect(await found).toEqual(['a', 'a-again', 'b', 'c', 'd', 'e']);
    expect(directory.visits).toBe(1);
    expect(directory.searches.map(({ base }) => base)).toEqual([
      ...bases,
      ...bases,
      ...bases,
      ...bases,
      ...bases,
    ]);
    const [, , second] = directory.searches;
    expect(second?.filter).toEqual({
      kind: 'or',
      filters: [byMember(dnOf('a')), byMember(dnOf('b'))],
    });
  });

  test('the filter is filled for each group by itself', async () => {
    const filter = filterTemplate('(&(member={dn})(!(owner={dn})))');
    const options = searchedGroups({ filter, nested: true });
    const entries = [
      groupOf('a', userDn),
      groupOf('b', userDn),
      // One of the two groups owns it, and the other is a member of it.
      entry(dnOf('c'), { cn: ['c'], member: [dnOf('a')], owner: [dnOf('b')] }),
    ];
    expect(await (await groups(options, { entries })).found).toEqual(['a', 'b', 'c']);
  });

  test('cycles end', async () => {
    const entries = [
      groupOf('a', userDn, dnOf('c')),
      groupOf('b', dnOf('a')),
      groupOf('c', dnOf('b'), dnOf('c')),
    ];
    const { directory, found } = await groups(searchedGroups({ nested: true }), { entries });
    expect(await found).toEqual(['a', 'b', 'c']);
    expect(directory.searches).toHaveLength(4);
  });

  test('a group has no name and no attribute that a filter could ask for', async () => {
    const filter = filterTemplate('(|(member={dn})(memberUid={username}))');
    const entries = [
      groupOf('a', userDn),
      entry(dnOf('b'), { cn: ['b'], memberUid: ['a'] }),
      groupOf('c', dnOf('a')),
    ];
    const { directory, found } = await groups(searchedGroups({ filter, nested: true }), {
      entries,
    });
    expect(await found).toEqual(['a', 'c']);
    expect(directory.searches[1]?.filter).toEqual({ kind: 'or', filters: [byMember(dnOf('a'))] });
  });

  test('the name may be made of several attributes, and of the DN', async () => {
    const entries = [entry(dnOf('a'), { cn: ['a'], ou: ['x'], member: [userDn] })];
    const named = async (text: string) => {
      const { directory, found } = await groups(searchedGroups({ name: parseNameTemplate(text) }), {
        entries,
      });
      return { names: await found, asked: directory.searches[0]?.attributes };
    };
    expect(await named('{ou}:{cn}')).toEqual({ names: ['x:a'], asked: ['ou', 'cn'] });
    expect(await named('{dn}')).toEqual({ names: [dnOf('a')], asked: ['1.1'] });
  });
});

describe('a search for groups that is not the whole answer fails the login', () => {
  const failing = async (
    answer: (request: SearchRequest) => { code?: number; entries?: readonly LdapEntry[] },
  ) => (await groups(searchedGroups({ maxGroups: 2 }), { onSearch: answer })).found;
  const many = ['a', 'b', 'c'].map((name) => groupOf(name));

  test.each([0, 1, 2])('a size limit, with %i groups seen', async (seen) => {
    await expect(failing(() => ({ code: 4, entries: many.slice(0, seen) }))).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining(
        `gave no more than ${seen} of the user's groups: raise its size limit`,
      ),
    });
  });

  test.each([0, 4])('more groups than allowed, with code %i', async (code) => {
    await expect(failing(() => ({ code, entries: many }))).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('in more than 2 groups'),
    });
  });

  test.each([3, 11, 18, 21, 34])('the code %i', async (code) => {
    await expect(failing(() => ({ code, entries: many.slice(1) }))).rejects.toMatchObject({
      code: 'failed',
    });
  });

  test.each([1, 2, 8, 10, 32, 50, 51, 52, 53, 80, 4096])(
    'the code %i, and the next server is asked',
    async (code) => {
      await expect(failing(() => ({ code, entries: many.slice(1) }))).rejects.toBeInstanceOf(
        ServerError,
      );
    },
  );

  test('an error in a later level or base', async () => {
    const bases = [groupsBase, 'ou=roles,dc=example,dc=com'];
    const entries = [groupOf('a', userDn)];
    let count = 0;
    const onSearch = () => (count++ === 3 ? { code: 3 } : { entries });
    const { directory, found } = await groups(searchedGroups({ bases, nested: true }), {
      onSearch,
    });
    await expect(found).rejects.toMatchObject({ code: 'failed' });
    expect(directory.searches).toHaveLength(4);
  });

  test.each([
    {
      what: 'no name',
      attributes: {},
      message: 'cn of the group cn=x is missing or empty: correct groups.name',
    },
    {
      what: 'an empty name',
      attributes: { cn: [''] },
      message: 'cn of the group cn=x is missing or empty',
    },
    {
      what: 'two names',
      attributes: { cn: ['a', 'b'] },
      message: 'cn=x has 2 values of the attribute cn, which must have one',
    },
    {
      what: 'a name that is not text',
      attributes: { cn: [Buffer.from([0x80])] },
      message: 'a value of the attribute cn is not text',
    },
  ])('a group with $what', async ({ attributes, message }) => {
    const failed = failing(() => ({ entries: [groupOf('fine'), entry('cn=x', attributes)] }));
    await expect(failed).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining(message),
    });
  });

  test.each([
    { what: 'an empty DN', dn: '' },
    { what: 'a DN that is not UTF-8', dn: undefined },
  ])('a group with $what', async ({ what, dn }) => {
    const failed = failing(() => ({ entries: [{ ...groupOf('fine'), dn }] }));
    await expect(failed).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining(what),
    });
  });
});

describe('groups from an attribute of the user', () => {
  const member = (...values: (string | Buffer)[]) =>
    entry(userDn, { uid: ['alice'], memberOf: values });

  test('are those below the bases, named by their first level, and no server is asked', async () => {
    const user = member(
      dnOf('web'),
      `CN=R\\+D,OU=Groups,DC=Example,DC=com`,
      'cn=outside,ou=roles,dc=example,dc=com',
      `ou=unit,${groupsBase}`,
      `cn=a+ou=b,${groupsBase}`,
    );
    const options = attributeGroups();
    const { directory, found } = await groups(options, {}, user);
    expect(groupAttributes(options)).toEqual(['memberOf']);
    expect(await found).toEqual(['R+D', 'a', 'web']);
    expect(directory.visits).toBe(0);
  });

  test('are all of them when no base is named, none when there is no such attribute', async () => {
    const options = attributeGroups({ bases: [] });
    expect(await (await groups(options, {}, member(dnOf('a'), 'cn=b,dc=org'))).found).toEqual([
      'a',
      'b',
    ]);
    expect(await (await groups(options, {}))?.found).toEqual([]);
  });

  test('may have their groups searched for', async () => {
    const entries = [groupOf('b', dnOf('a')), groupOf('c', dnOf('b'))];
    const nested = { filter: filterTemplate('(member={dn})'), scope: 'sub' as const };
    const { directory, found } = await groups(
      attributeGroups({ nested }),
      { entries },
      member(dnOf('a')),
    );
    expect(await found).toEqual(['a', 'b', 'c']);
    expect(directory.searches).toHaveLength(3);
    const none = await groups(attributeGroups({ nested }), { entries });
    expect(none.directory.searches).toHaveLength(0);
  });

  test.each([
    {
      what: 'no DN',
      user: member(dnOf('a'), 'nonsense'),
      message: 'a value of the user\'s memberOf is not a DN: "nonsense"',
    },
    {
      what: 'no DN, in several lines',
      user: member(`a\nb${'c'.repeat(1000)}`),
      message: `is not a DN: "a b${'c'.repeat(197)}..."`,
    },
    {
      what: 'an empty value',
      user: member(''),
      message: "a value of the user's memberOf is not a DN",
    },
    {
      what: 'bytes that are not text',
      user: member(Buffer.from([0xff])),
      message: 'memberOf is not text',
    },
    {
      what: 'two names in the first level',
      user: member(`cn=a+cn=b,${groupsBase}`),
      message: 'has 2 values of the attribute cn',
    },
    {
      what: 'a part of the values',
      user: entry(userDn, { 'memberof;range=0-1': [dnOf('a')] }),
      message: 'gave a part of the attribute',
    },
    {
      what: 'too many',
      user: member(dnOf('a'), dnOf('b'), dnOf('c')),
      message: 'in more than 2 groups',
    },
    {
      what: 'too many, the rest of which is not read',
      user: member(...'abc'.split('').map(dnOf), 'no DN'),
      message: 'in more than 2 groups',
    },
  ])('with $what fail the login', async ({ user, message }) => {
    const { found } = await groups(attributeGroups({ maxGroups: 2 }), {}, user);
    await expect(found).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining(message),
    });
  });
});

test.each([
  { options: undefined, kibibytes: 1024 },
  { options: searchedGroups({ maxGroups: 5000 }), kibibytes: 1024 },
  { options: attributeGroups({ maxGroups: 5000 }), kibibytes: 6024 },
  { options: attributeGroups({ maxGroups: 100_000 }), kibibytes: 16_384 },
])('a user may have an entry as large as the groups in it make it', ({ options, kibibytes }) => {
  expect(userAnswerBytes(options)).toBe(kibibytes * 1024);
});

const group = (dn: string): Group => ({ dn, name: `name of ${dn}` });
const generous = { maxDepth: 1000, maxGroups: 1000 };

/** `edges[n]` are the groups that group n is in. */
function walker(edges: readonly (readonly number[])[]) {
  const calls: string[][] = [];
  const parentsOf = async (groups: readonly Group[]) => {
    calls.push(groups.map(({ dn }) => dn));
    return groups.flatMap(({ dn }) =>
      (edges[Number(dn)] ?? []).map((parent) => group(String(parent))),
    );
  };
  return { calls, parentsOf };
}

/** Counts the levels to each reachable group by relaxation, which is not how the walk does it. */
function distances(
  direct: readonly number[],
  edges: readonly (readonly number[])[],
): ReadonlyMap<number, number> {
  const distance = new Map(direct.map((one) => [one, 1]));
  for (let round = 0; round < edges.length; round += 1) {
    for (const [from, parents] of edges.entries()) {
      const start = distance.get(from);
      if (start === undefined) continue;
      for (const to of parents)
        distance.set(to, Math.min(distance.get(to) ?? Number.POSITIVE_INFINITY, start + 1));
    }
  }
  return distance;
}

const graphs = fc.integer({ min: 1, max: 12 }).chain((size) => {
  const node = fc.nat(size - 1);
  const edges = fc.array(fc.array(node, { maxLength: 4 }), { minLength: size, maxLength: size });
  return fc.record({ edges, direct: fc.array(node, { maxLength: 4 }) });
});

describe('walking groups of groups', () => {
  test('finds all that can be reached, whatever the graph, in one call a level', async () => {
    await fc.assert(
      fc.asyncProperty(graphs, async ({ edges, direct }) => {
        const { calls, parentsOf } = walker(edges);
        const reached = distances(direct, edges);
        const found = await walkGroups(direct.map(String).map(group), generous, parentsOf);
        expect(found.map(({ dn }) => Number(dn)).sort()).toEqual([...reached.keys()].sort());
        expect(found.every(({ dn, name }) => name === `name of ${dn}`)).toBe(true);
        const levels = Math.max(0, ...reached.values());
        expect(calls).toHaveLength(levels);
        for (const [index, level] of calls.entries()) {
          const expected = [...reached]
            .filter(([, distance]) => distance === index + 1)
            .map(([node]) => String(node));
          expect([...level].sort()).toEqual(expected.sort());
        }
      }),
    );
  });

  test('gives all of the groups or none, whatever the bounds', async () => {
    const bound = fc.integer({ min: 1, max: 12 });
    await fc.assert(
      fc.asyncProperty(graphs, bound, bound, async ({ edges, direct }, maxDepth, maxGroups) => {
        const reached = distances(direct, edges);
        const fits = Math.max(0, ...reached.values()) <= maxDepth && reached.size <= maxGroups;
        const { calls, parentsOf } = walker(edges);
        const walk = walkGroups(direct.map(String).map(group), { maxDepth, maxGroups }, parentsOf);
        if (fits) expect(await walk).toHaveLength(reached.size);
        else
          await expect(walk).rejects.toMatchObject({ name: 'AuthenticatorError', code: 'failed' });
        expect(calls.length).toBeLessThanOrEqual(maxDepth);
      }),
    );
  });

  test('says which limit is passed and how to fix it', async () => {
    const chain = walker([[1], [2], []]);
    await expect(
      walkGroups([group('0')], { maxDepth: 2, maxGroups: 9 }, chain.parentsOf),
    ).rejects.toThrow(
      "the user's groups are nested deeper than 2 levels: flatten the groups, or raise groups.maxDepth",
    );
    await expect(
      walkGroups([group('0')], { maxDepth: 9, maxGroups: 2 }, chain.parentsOf),
    ).rejects.toThrow(
      'the user is in more than 2 groups: narrow groups.filter or groups.base, or raise groups.maxGroups',
    );
    expect(
      await walkGroups([group('0')], { maxDepth: 3, maxGroups: 3 }, chain.parentsOf),
    ).toHaveLength(3);
  });

  test('counts the direct groups too when groups of groups do not count', async () => {
    const direct = ['0', '1', '1'].map(group);
    expect(await walkGroups(direct, { maxDepth: 1, maxGroups: 2 })).toHaveLength(2);
    await expect(walkGroups(direct, { maxDepth: 1, maxGroups: 1 })).rejects.toMatchObject({
      code: 'failed',
    });
  });

  test('takes two spellings of a DN for two groups', async () => {
    expect(await walkGroups([group('cn=a'), group('CN=a')], generous)).toHaveLength(2);
  });
});
