import { describe, expect, test } from 'vitest';
import {
  entry,
  type MemoryDirectoryOptions,
  memoryDirectory,
} from '../directory/testing/memory-directory.ts';
import { filterText } from '../filter/filter.ts';
import { parseDnTemplate } from '../filter/templates.ts';
import {
  filterTemplate,
  ldapOptions,
  peopleBase,
  userOptions,
} from '../options/testing/ldap-options.ts';
import type { UserOptions } from '../options/types.ts';
import { lookUpDirectoryUser } from './look-up.ts';

const alice = entry(`uid=alice,${peopleBase}`, { uid: ['alice'], mail: ['alice@example.com'] });
const byMail = {
  by: 'search',
  bases: [peopleBase],
  scope: 'sub',
  filter: filterTemplate('(mail={username})'),
} as const;
const byDn = { by: 'dn', template: parseDnTemplate(`uid={username},${peopleBase}`) } as const;

async function look(
  username: string,
  user: Partial<UserOptions> = {},
  script: MemoryDirectoryOptions = {},
) {
  const directory = memoryDirectory({ entries: [alice], ...script });
  const steps: string[] = [];
  const context = {
    signal: new AbortController().signal,
    trace: (step: string) => steps.push(step),
  };
  const found = await lookUpDirectoryUser(
    directory,
    ldapOptions({ user: userOptions(user) }),
    username,
    context,
  );
  return { found, steps, filters: directory.searches.map(({ filter }) => filterText(filter)) };
}

describe('looking a user up', () => {
  test('searches by the typed name, and then by the name in Kubernetes', async () => {
    expect(await look('alice@example.com', { find: byMail })).toMatchObject({
      found: { username: 'alice' },
      filters: ['(mail=alice@example.com)'],
    });
    expect(await look('alice', { find: byMail })).toMatchObject({
      found: { username: 'alice' },
      filters: ['(mail=alice)', '(&(uid=alice)(mail=*))'],
    });
    expect(await look('bob', { find: byMail })).toMatchObject({ found: undefined });
  });

  test('reads one entry where users have a DN template', async () => {
    expect(await look('alice', { find: byDn })).toMatchObject({ found: { username: 'alice' } });
    expect(await look('bob', { find: byDn })).toMatchObject({
      found: undefined,
      filters: ['(objectClass=*)'],
    });
  });

  test.each(['', 'a\0', 'a\nb', '\ufffd', '\ud800', 'a'.repeat(1_025)])(
    'asks no server about %j',
    async (name) => {
      expect(await look(name, { find: byDn })).toEqual({
        found: undefined,
        steps: [],
        filters: [],
      });
    },
  );

  test("shows the state of the account, even one that can't be read", async () => {
    const unreadable = entry(`uid=alice,${peopleBase}`, {
      uid: ['alice'],
      accountExpires: ['soon'],
    });
    const { found, steps } = await look('alice', {}, { entries: [unreadable] });
    expect(found).toEqual({ username: 'alice' });
    expect(steps.at(-1)).toMatch(
      /^account state: the attribute accountExpires of uid=alice,.+ is no time/,
    );
  });
});
