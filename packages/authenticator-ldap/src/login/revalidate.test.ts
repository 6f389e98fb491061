import type { Logger } from '@sallyport/authenticator';
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
  searchedGroups,
  userOptions,
} from '../options/testing/ldap-options.ts';
import type { UserOptions } from '../options/types.ts';
import { createRevalidate } from './look-up.ts';

const signal = new AbortController().signal;
const attributes = { username: 'uid', uid: 'entryUUID', extra: {} };
const [one, other] = [
  '6b2c0000-0000-4000-8000-000000000001',
  '6b2c0000-0000-4000-8000-000000000002',
];
const person = (name: string, uid: string, more: Record<string, string[]> = {}) =>
  entry(`uid=${name},${peopleBase}`, { uid: [name], entryUUID: [uid], ...more });
const alice = person('alice', one, {
  mail: ['alice@example.com'],
  pwdChangedTime: ['20200101000000Z'],
});
const find = {
  by: 'search',
  bases: [peopleBase],
  scope: 'sub',
  filter: filterTemplate('(|(uid={username})(mail={username}))'),
} as const;

function made(script: MemoryDirectoryOptions = {}, user: Partial<UserOptions> = {}) {
  const directory = memoryDirectory({ entries: [alice], ...script });
  const warnings: unknown[] = [];
  const logger: Logger = {
    debug() {},
    info() {},
    error() {},
    warn: (...line) => warnings.push(line),
  };
  const options = ldapOptions({
    user: userOptions({ find, attributes, ...user }),
    groups: searchedGroups(),
  });
  const revalidate = createRevalidate(directory, options, logger);
  const steps: string[] = [];
  const context = { since: new Date(), signal, trace: (step: string) => steps.push(step) };
  return {
    directory,
    warnings,
    steps,
    revalidate: (username: string, uid?: string, changed: Partial<typeof context> = {}) =>
      revalidate({ username, ...(uid !== undefined && { uid }) }, { ...context, ...changed }),
  };
}

const unknownUser = { kind: 'rejected', reason: 'unknown-user' };

describe('revalidate', () => {
  test('asks for the uid, the name and the rest of the filter in one search', async () => {
    const { directory, revalidate } = made();
    const user = { username: 'alice', uid: one, groups: [] };
    expect(await revalidate('alice', one)).toEqual({ kind: 'authenticated', user });
    const [first] = directory.searches;
    expect(first && filterText(first.filter)).toBe(
      `(&(entryUUID=${one})(uid=alice)(|(uid=*)(mail=*)))`,
    );
    expect(first?.attributes).toEqual(
      expect.arrayContaining(['uid', 'entryUUID', 'pwdChangedTime', 'pwdLastSet']),
    );
    expect(directory.binds).toEqual([]);
  });

  test('asks for the name alone where the login had no uid', async () => {
    const { directory, revalidate } = made();
    expect(await revalidate('alice')).toMatchObject({ kind: 'authenticated' });
    expect(directory.searches[0] && filterText(directory.searches[0].filter)).toBe(
      '(&(uid=alice)(|(uid=*)(mail=*)))',
    );
  });

  test('knows no one by a uid that the options no longer ask for', async () => {
    const { directory, revalidate } = made({}, { attributes: { username: 'uid', extra: {} } });
    expect(await revalidate('alice', one)).toEqual(unknownUser);
    expect(directory.searches).toEqual([]);
  });

  test.each([
    { what: 'the name in another spelling', found: person('Alice', one) },
    { what: 'the uid in another spelling', found: person('alice', one.toUpperCase()) },
    { what: 'another uid', found: person('alice', other) },
    { what: 'no uid', found: entry(`uid=alice,${peopleBase}`, { uid: ['alice'] }) },
  ])('knows no one when the server finds $what', async ({ found }) => {
    const { revalidate } = made({ onSearch: () => ({ entries: [found] }) });
    expect(await revalidate('alice', one)).toEqual(unknownUser);
  });

  test.each([
    '',
    '*',
    'a\0',
    'a\nb',
    '\ufffd',
    '\ud800',
    'a'.repeat(1_025),
    'nobody',
    'alice@example.com',
  ])('knows no one of the name %j', async (name) => {
    expect(await made().revalidate(name)).toEqual(unknownUser);
  });

  test('with dnTemplate reads the entry of the name, and compares the uid', async () => {
    const byDn = { by: 'dn', template: parseDnTemplate(`uid={username},${peopleBase}`) } as const;
    const { revalidate } = made({}, { find: byDn });
    expect(await revalidate('alice', one)).toMatchObject({ kind: 'authenticated' });
    expect(await revalidate('alice', other)).toEqual(unknownUser);
    expect(await revalidate('nobody', one)).toEqual(unknownUser);
  });

  test('refuses as ambiguous when two entries have the name', async () => {
    const twin = entry(`cn=twin,${peopleBase}`, { uid: ['alice'], entryUUID: [other] });
    const { revalidate } = made({ entries: [alice, twin] });
    expect(await revalidate('alice')).toEqual({ kind: 'rejected', reason: 'ambiguous' });
    expect(await revalidate('alice', one)).toMatchObject({ kind: 'authenticated' });
  });

  test('refuses by the state of the account, and looks for no groups then', async () => {
    const { directory, revalidate, steps } = made({
      entries: [person('alice', one, { nsAccountLock: ['true'] })],
    });
    expect(await revalidate('alice', one)).toEqual({
      kind: 'rejected',
      reason: 'disabled',
      subject: 'alice',
    });
    expect(directory.searches).toHaveLength(1);
    expect(steps.at(-1)).toBe('account state: disabled, by the attribute nsAccountLock');
  });

  test('refuses a password that was changed after the login', async () => {
    const { revalidate } = made();
    const changed = { kind: 'rejected', reason: 'password-changed', subject: 'alice' };
    expect(await revalidate('alice', one, { since: new Date('2019-12-31T23:59:59Z') })).toEqual(
      changed,
    );
    expect(
      await revalidate('alice', one, { since: new Date('2020-01-01T00:00:00Z') }),
    ).toMatchObject({
      kind: 'authenticated',
    });
  });

  test('does not decide about a login of no time', async () => {
    const failed = expect(made().revalidate('alice', one, { since: new Date(Number.NaN) })).rejects;
    await failed.toMatchObject({ code: 'failed' });
  });

  test("throws for an entry that can't be used, for an abort, and for an outage", async () => {
    const bad = entry(`uid=alice,${peopleBase}`, { uid: ['alice', 'bob'], entryUUID: [one] });
    await expect(made({ entries: [bad] }).revalidate('alice', one)).rejects.toMatchObject({
      code: 'failed',
    });
    const outage = new Error('no server');
    const down = made({
      onSearch: () => {
        throw outage;
      },
    });
    await expect(down.revalidate('alice', one)).rejects.toBe(outage);
    const gone = new Error('gone');
    await expect(made().revalidate('alice', one, { signal: AbortSignal.abort(gone) })).rejects.toBe(
      gone,
    );
    const controller = new AbortController();
    const late = made({
      onSearch() {
        controller.abort(gone);
        return undefined;
      },
    });
    await expect(late.revalidate('nobody', one, { signal: controller.signal })).rejects.toBe(gone);
  });

  test('warns once when the entry shows nothing of its account', async () => {
    const { revalidate, warnings } = made({
      entries: [person('alice', one), person('bob', other)],
    });
    for (const [name, uid] of [
      ['alice', one],
      ['bob', other],
    ] as const) {
      expect(await revalidate(name, uid)).toMatchObject({ kind: 'authenticated' });
    }
    expect(warnings).toEqual([
      [
        expect.objectContaining({ entry: `uid=alice,${peopleBase}` }),
        'account state not readable: a disabled account or a changed password ends no session',
      ],
    ]);
    const readable = made();
    await readable.revalidate('alice', one);
    expect(readable.warnings).toEqual([]);
  });

  test.each([
    { server: 'OpenLDAP', mark: 'entryCSN' },
    { server: '389-DS', mark: 'nsUniqueId' },
  ])(
    'does not warn where a search shows that an entry of $server has no lock, and asks once',
    async ({ mark }) => {
      const { directory, revalidate, warnings } = made({
        entries: [person('alice', one, { [mark]: ['x'] })],
      });
      for (const _ of [1, 2])
        expect(await revalidate('alice', one)).toMatchObject({ kind: 'authenticated' });
      expect(warnings).toEqual([]);
      const asked = directory.searches.filter(({ filter }) => filterText(filter).includes('(!('));
      expect(asked.map(({ base, scope }) => [base, scope])).toEqual([
        [`uid=alice,${peopleBase}`, 'base'],
      ]);
    },
  );

  test('warns once when the entry shows a part of its account alone', async () => {
    const shown = { userAccountControl: ['512'], 'msDS-User-Account-Control-Computed': ['0'] };
    const { revalidate, warnings } = made({ entries: [person('alice', one, shown)] });
    for (const _ of [1, 2])
      expect(await revalidate('alice', one)).toMatchObject({ kind: 'authenticated' });
    expect(warnings).toEqual([
      [
        expect.objectContaining({
          entry: `uid=alice,${peopleBase}`,
          attributes: 'pwdLastSet, accountExpires',
        }),
        'account state readable in part: what only these attributes show ends no session',
      ],
    ]);
  });
});

describe('the end of a lock of OpenLDAP', () => {
  const policy = 'cn=strict,ou=policies,dc=example,dc=com';
  const locked = { pwdAccountLockedTime: ['20200101000000Z'], pwdPolicySubentry: [policy] };
  const entries = [person('alice', one, locked), entry(policy, { pwdLockoutDuration: ['60'] })];
  const policySearches = ({ searches }: ReturnType<typeof made>['directory']) =>
    searches.filter(({ base }) => base.includes('ou=policies'));

  test('is read from the policy, in one search, only if there is a lock', async () => {
    const { directory, revalidate, steps } = made({ entries });
    expect(await revalidate('alice', one)).toMatchObject({ kind: 'authenticated' });
    expect(policySearches(directory)).toMatchObject([
      { base: policy, scope: 'base', attributes: ['pwdLockoutDuration'] },
    ]);
    expect(steps).toContainEqual(expect.stringContaining(`password policy below "${policy}"`));
    const unlocked = made({ entries: [person('alice', one, { pwdPolicySubentry: [policy] })] });
    expect(await unlocked.revalidate('alice', one)).toMatchObject({ kind: 'authenticated' });
    expect(policySearches(unlocked.directory)).toEqual([]);
  });

  test.each([
    { code: 32, attributes: {} },
    { code: 50, attributes: {} },
    { code: 0, attributes: {} },
    { code: 0, attributes: { pwdLockoutDuration: [] } },
    { code: 0, attributes: { pwdLockoutDuration: ['0'] } },
    { code: 0, attributes: { pwdLockoutDuration: ['-1'] } },
    { code: 0, attributes: { pwdLockoutDuration: ['soon'] } },
  ])(
    'is never, where the policy can not be read: code $code, $attributes',
    async ({ code, attributes }) => {
      const shown = Object.keys(attributes).length === 0 ? [] : [entry(policy, attributes)];
      const { revalidate } = made({
        entries,
        onSearch: ({ base }) => (base === policy ? { code, entries: shown } : undefined),
      });
      expect(await revalidate('alice', one)).toMatchObject({ reason: 'locked' });
    },
  );

  test('is an error, and no refusal, where the server is busy', async () => {
    const { revalidate } = made({
      entries,
      onSearch: ({ base }) => (base === policy ? { code: 51 } : undefined),
    });
    await expect(revalidate('alice', one)).rejects.toThrow(
      `the lookup of the password policy "${policy}" ended in 51 busy`,
    );
  });
});
