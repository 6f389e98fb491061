import { randomUUID } from 'node:crypto';
import { AuthenticatorError } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { ServerError } from '../connection/server-error.ts';
import type { LdapEntry } from '../connection/types.ts';
import {
  entry,
  type MemoryDirectoryOptions,
  memoryDirectory,
} from '../directory/testing/memory-directory.ts';
import { parseDnTemplate } from '../filter/templates.ts';
import { filterTemplate, peopleBase, userOptions } from '../options/testing/ldap-options.ts';
import type { UserOptions } from '../options/types.ts';
import { findUserEntry, type UserSearchResult } from './find-user.ts';

const signal = new AbortController().signal;
const services = 'ou=services,dc=example,dc=com';
const alice = entry(`uid=alice,${peopleBase}`, {
  uid: ['alice'],
  mail: ['alice@example.com'],
  sn: ['Liddell'],
});
const bob = entry(`uid=bob,${services}`, { uid: ['bob'] });

const twoBases = (scope: 'one' | 'sub' = 'sub'): UserOptions['find'] => ({
  by: 'search',
  bases: [peopleBase, services],
  scope,
  filter: filterTemplate('(uid={username})'),
});
const byDn: UserOptions['find'] = {
  by: 'dn',
  template: parseDnTemplate(`uid={username},${peopleBase}`),
};

type Usable = Exclude<UserSearchResult, { kind: 'unusable' }>;

/** Looks for a user. `result` rejects for an unusable entry. */
async function find(
  username: string,
  options: Partial<UserOptions>,
  script: MemoryDirectoryOptions,
) {
  const directory = memoryDirectory({ entries: [alice, bob], ...script });
  const search = { username, options: userOptions(options), moreAttributes: [], maxBytes: 1000 };
  const result: Promise<Usable> = findUserEntry(directory, search, { signal }).then(({ value }) => {
    if (value.kind === 'unusable') throw value.error;
    return value;
  });
  // The wait makes the searches complete, even when it fails.
  await result.catch(() => {});
  return { directory, result };
}

const answers = (code: number, entries: readonly LdapEntry[] = []) => ({
  onSearch: () => ({ code, entries }),
});

describe('finding a user by search', () => {
  test.each(['alice', 'bob', 'nobody', '*', 'a)(uid=*'])(
    'searches every base once for %s',
    async (username) => {
      const { directory, result } = await find(username, { find: twoBases() }, {});
      expect((await result).kind).toBe(['alice', 'bob'].includes(username) ? 'found' : 'none');
      expect(directory.visits).toBe(1);
      const filter = { kind: 'equality', attribute: 'uid', value: Buffer.from(username) };
      const rest = { scope: 'sub', filter, attributes: ['uid'], sizeLimit: 2, maxBytes: 1000 };
      expect(directory.searches).toEqual([
        { base: peopleBase, ...rest },
        { base: services, ...rest },
      ]);
    },
  );

  test('asks for the attributes that are needed, each once, and for no other', async () => {
    const attributes = {
      username: 'uid',
      uid: 'entryUUID',
      email: 'mail',
      extra: { name: 'sn', login: 'UID' },
    };
    const directory = memoryDirectory();
    const search = {
      username: 'x',
      options: userOptions({ attributes }),
      moreAttributes: ['MEMBEROF', 'mail'],
      maxBytes: 1000,
    };
    await findUserEntry(directory, search, { signal });
    const asked = directory.searches[0]?.attributes.map((attribute) => attribute.toLowerCase());
    expect(asked?.sort()).toEqual(['entryuuid', 'mail', 'memberof', 'sn', 'uid']);
  });

  test('an entry that is below both bases counts once', async () => {
    const below: UserOptions['find'] = {
      ...twoBases(),
      bases: [peopleBase, 'dc=example,dc=com'],
    } as never;
    const { directory, result } = await find('alice', { find: below }, {});
    expect(await result).toMatchObject({ kind: 'found', user: { username: 'alice' } });
    expect(directory.searches).toHaveLength(2);
  });

  test('two entries are ambiguous, be they below one base or two', async () => {
    const twin = entry(`uid=alice,${services}`, { uid: ['alice'] });
    for (const entries of [
      [alice, twin],
      [alice, entry(`uid=alice,ou=a,${peopleBase}`, { uid: ['alice'] })],
    ]) {
      const { directory, result } = await find('alice', { find: twoBases() }, { entries });
      expect(await result).toEqual({ kind: 'ambiguous', entries: entries.map(({ dn }) => dn) });
      expect(directory.searches).toHaveLength(2);
    }
  });

  test('one entry found through two bases is one, and another spelling of its DN is not', async () => {
    expect(
      await (await find('alice', { find: twoBases() }, answers(0, [alice]))).result,
    ).toMatchObject({
      kind: 'found',
    });
    let count = 0;
    const respelled = { ...alice, dn: `UID=alice,${peopleBase}` };
    const onSearch = () => ({ entries: [count++ === 0 ? alice : respelled] });
    expect(await (await find('alice', { find: twoBases() }, { onSearch })).result).toMatchObject({
      kind: 'ambiguous',
    });
  });

  test('entries whose DN is not UTF-8 are never taken for the same', async () => {
    const nameless = { ...alice, dn: undefined };
    expect(
      await (await find('alice', { find: twoBases() }, answers(0, [nameless]))).result,
    ).toMatchObject({
      kind: 'ambiguous',
    });
  });

  test.each([0, 1, 2])(
    'a size limit that is passed is ambiguous, with %i entries seen',
    async (seen) => {
      const { result } = await find('alice', {}, answers(4, [alice, bob].slice(0, seen)));
      expect((await result).kind).toBe('ambiguous');
    },
  );

  test('a referral is nothing found', async () => {
    expect(await (await find('alice', {}, answers(10, [alice]))).result).toEqual({ kind: 'none' });
  });

  test.each([3, 11, 18, 21, 34])('the code %i is a matter of this login', async (code) => {
    const { result } = await find('alice', {}, answers(code));
    const message = expect.stringContaining('the search for a user ended in');
    await expect(result).rejects.toMatchObject({
      name: 'AuthenticatorError',
      code: 'failed',
      message,
    });
  });

  test.each([1, 2, 8, 32, 50, 51, 52, 53, 80, 4096])(
    'the code %i is an error of the server',
    async (code) => {
      const { result } = await find('alice', {}, answers(code, [alice]));
      await expect(result).rejects.toBeInstanceOf(ServerError);
      await expect(result).rejects.toMatchObject({ kind: 'answer', step: 'search' });
      await expect(result).rejects.toThrow(peopleBase);
    },
  );
});

test.each([
  { how: 'by search', options: {} },
  { how: 'by a DN template', options: { find: byDn } },
])(
  'the content of an entry is no error of the server, however large it is: $how',
  async ({ options }) => {
    const onSearch = () => {
      throw new ServerError('too-large', 'search', 'ldaps://a:636: search: too much');
    };
    const { result } = await find('alice', options, { onSearch });
    await expect(result).rejects.toMatchObject({ name: 'AuthenticatorError', code: 'failed' });
    await expect(result).rejects.toThrow(
      'found too much: ldaps://a:636: search: too much: look for an entry',
    );
  },
);

test('the reason of the signal is thrown, whatever it is', async () => {
  const controller = new AbortController();
  const reason = new AuthenticatorError('failed', 'late');
  const onSearch = () => {
    controller.abort(reason);
    throw reason;
  };
  const search = { username: 'x', options: userOptions(), moreAttributes: [], maxBytes: 1000 };
  const result = findUserEntry(memoryDirectory({ onSearch }), search, {
    signal: controller.signal,
  });
  await expect(result).rejects.toBe(reason);
});

describe('finding a user by a DN template', () => {
  test('reads the one entry, with the name escaped', async () => {
    const { directory, result } = await find('alice', { find: byDn }, {});
    expect(await result).toMatchObject({
      kind: 'found',
      user: { dn: alice.dn, username: 'alice' },
    });
    const filter = { kind: 'present', attribute: 'objectClass' };
    const rest = { scope: 'base', filter, attributes: ['uid'], sizeLimit: 2, maxBytes: 1000 };
    expect(directory.searches).toEqual([{ base: alice.dn, ...rest }]);
    const hostile = await find('alice,ou=admins', { find: byDn }, {});
    expect(hostile.directory.searches[0]?.base).toBe(`uid=alice\\,ou=admins,${peopleBase}`);
  });

  test.each([10, 32])('the code %i says that it is not there', async (code) => {
    expect(await (await find('alice', { find: byDn }, answers(code))).result).toEqual({
      kind: 'none',
    });
  });

  test.each([
    { code: 34, error: 'failed' },
    { code: 50, error: undefined },
  ])('the code $code is none, and no error quotes the typed name', async ({ code, error }) => {
    const typed = randomUUID();
    const failure: unknown = await (await find(typed, { find: byDn }, answers(code))).result.catch(
      (reason) => reason,
    );
    expect(failure).toMatchObject(error === undefined ? { name: 'ServerError' } : { code: error });
    expect(String(failure)).not.toContain(typed);
  });
});

describe("a user's entry", () => {
  const attributes = {
    username: 'uid',
    uid: 'entryUUID',
    email: 'mail',
    extra: { 'example.com/phone': 'telephoneNumber', guid: 'objectGUID' },
  };
  const read = async (one: LdapEntry) =>
    (await find('alice', { attributes }, answers(0, [one]))).result.then(
      (result) => result.kind === 'found' && result.user,
    );

  test('gives username, uid, extra and email as the directory has them', async () => {
    const guid = Buffer.from('33221100554477668899aabbccddeeff', 'hex');
    const values = {
      uid: ['Alice'],
      entryUUID: ['7'],
      mail: ['a@x', 'b@x'],
      telephoneNumber: ['1', '2'],
    };
    expect(await read(entry('uid=alice', { ...values, objectGUID: [guid] }))).toMatchObject({
      dn: 'uid=alice',
      username: 'Alice',
      uid: '7',
      extra: {
        email: ['a@x', 'b@x'],
        'example.com/phone': ['1', '2'],
        guid: ['00112233-4455-6677-8899-aabbccddeeff'],
      },
    });
  });

  test('may lack all but the username', async () => {
    const user = await read(entry('uid=alice', { uid: ['alice'] }));
    expect(user).not.toHaveProperty('uid');
    expect(user).not.toHaveProperty('extra');
  });

  test('may have as much as goes into headers', async () => {
    const user = await read(
      entry('uid=x', { uid: ['a'], mail: ['é'.repeat(32_767)], telephoneNumber: ['1'] }),
    );
    expect(user).toMatchObject({ extra: { email: [expect.any(String)] } });
  });

  test.each([
    {
      what: 'no username',
      one: entry('uid=x'),
      message: 'the attribute uid of uid=x is missing or empty',
    },
    {
      what: 'an empty username',
      one: entry('uid=x', { uid: [''] }),
      message: 'the attribute uid of uid=x is missing or empty',
    },
    {
      what: 'two usernames',
      one: entry('uid=x', { uid: ['a', 'b'] }),
      message: 'uid=x has 2 values of the attribute uid',
    },
    {
      what: 'two uids',
      one: entry('uid=x', { uid: ['a'], entryUUID: ['1', '2'] }),
      message: 'has 2 values of the attribute entryUUID',
    },
    {
      what: 'a username that is not text',
      one: entry('uid=x', { uid: [Buffer.from([0xff])] }),
      message: 'attribute uid is not text',
    },
    {
      what: 'a part of an attribute',
      one: entry('uid=x', { uid: ['a'], 'mail;range=0-1': ['m'] }),
      message: 'gave a part of the attribute mail',
    },
    {
      what: 'more than goes into headers',
      one: entry('uid=x', { uid: ['a'], mail: ['é'.repeat(32_767)], telephoneNumber: ['12'] }),
      message: 'the attributes of uid=x have 65537 bytes, over 65536',
    },
    {
      what: 'an empty DN',
      one: entry('', { uid: ['alice'] }),
      message: 'the directory gave an empty DN for a user',
    },
    {
      what: 'a DN that is not UTF-8',
      one: { ...alice, dn: undefined },
      message: 'gave a DN that is not UTF-8 for a user',
    },
  ])('with $what fails this login', async ({ one, message }) => {
    await expect(read(one)).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining(message),
    });
  });
});
