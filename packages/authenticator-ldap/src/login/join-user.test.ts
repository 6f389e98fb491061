import { describe, expect, test } from 'vitest';
import type { SearchRequest } from '../connection/types.ts';
import {
  entry,
  type MemoryDirectoryOptions,
  memoryDirectory,
} from '../directory/testing/memory-directory.ts';
import { filterText } from '../filter/filter.ts';
import { parseDnTemplate } from '../filter/templates.ts';
import {
  attributeGroups,
  filterTemplate,
  ldapOptions,
  peopleBase,
  userOptions,
} from '../options/testing/ldap-options.ts';
import type { UserOptions } from '../options/types.ts';
import { joinUser } from './join-user.ts';

const uuid = '6b2c0000-0000-4000-8000-000000000001';
const attributes = { username: 'uid', uid: 'entryUUID', extra: {} };
const person = (rdn: string, values: Readonly<Record<string, readonly (string | Buffer)[]>>) =>
  entry(`${rdn},${peopleBase}`, { entryUUID: [uuid], ...values });
const alice = person('uid=alice', { uid: ['alice'], mail: ['Alice@example.com'] });

const by = (lookUpFilter: string | undefined, filter = '(uid={username})') =>
  ({
    by: 'search',
    bases: [peopleBase],
    scope: 'sub',
    filter: filterTemplate(filter),
    ...(lookUpFilter !== undefined && { lookUpFilter: filterTemplate(lookUpFilter) }),
  }) as const;
const byMail = by('(mail={username})');

function made(user: Partial<UserOptions> = {}, script: MemoryDirectoryOptions = {}) {
  const directory = memoryDirectory({ entries: [alice], ...script });
  const options = ldapOptions({
    user: userOptions({ find: byMail, attributes, ...user }),
    groups: attributeGroups(),
  });
  const steps: string[] = [];
  return {
    steps,
    filters: () => directory.searches.map(({ filter }) => filterText(filter)),
    directory,
    join: (name: string, signal = new AbortController().signal) =>
      joinUser(directory, options, name, { signal, trace: (step) => steps.push(step) }),
  };
}

/** Makes a directory that takes any name for that of these entries. */
const loose = (...entries: (typeof alice)[]): MemoryDirectoryOptions => ({
  onSearch: () => ({ entries }),
});

const failed = (message: string) =>
  expect.objectContaining({ code: 'failed', message: expect.stringContaining(message) });

describe('a user of another authenticator', () => {
  test('is found by user.lookUpFilter in one search, which reads no groups', async () => {
    const { join, filters, steps, directory } = made();
    expect(await join('Alice@example.com')).toEqual({ username: 'alice', uid: uuid });
    expect(filters()).toEqual(['(mail=Alice@example.com)']);
    expect(directory.searches[0]?.attributes).toEqual(['uid', 'entryUUID', 'mail']);
    expect(directory.searches[0]?.sizeLimit).toBe(2);
    expect(steps).toEqual([
      `user search (user.lookUpFilter) below "${peopleBase}" (scope sub), filter (mail=Alice@example.com): 1 entry`,
      `exact match: "uid=alice,${peopleBase}", the user "alice"`,
    ]);
  });

  test('is found as at a login without user.lookUpFilter', async () => {
    const { join, filters, steps } = made({
      find: by(undefined, '(|(uid={username})(mail={username}))'),
    });
    expect(await join('alice')).toEqual({ username: 'alice', uid: uuid });
    expect(filters()).toEqual(['(|(uid=alice)(mail=alice))']);
    expect(steps[0]).toMatch(/^user search \(user\.filter\) below/);
  });

  test('is found by no second search', async () => {
    const { join, filters } = made();
    expect(await join('alice')).toBeUndefined();
    expect(filters()).toEqual(['(mail=alice)']);
  });

  test.each(['', 'a\0', 'a\nb', '\ufffd', 'frank\ufffd', '\ud800', 'a'.repeat(1_025)])(
    'of the name %j is looked for nowhere, which is not the same as missing',
    async (name) => {
      const { join, filters } = made();
      await expect(join(name)).rejects.toEqual(
        failed(`can't be a value of mail, so no one is looked for: map a claim`),
      );
      expect(filters()).toEqual([]);
    },
  );

  const guidText = '00112233-4455-6677-8899-aabbccddeeff';
  test.each([
    ...['objectGUID', 'entryUUID'].flatMap((attribute) =>
      [
        Buffer.from(guidText.replaceAll('-', ''), 'hex').toString('base64'),
        `{${guidText}}`,
        guidText.replaceAll('-', ''),
        ` ${guidText}`,
        `${guidText} `,
        `<GUID=${guidText}>`,
        `urn:uuid:${guidText}`,
        `${guidText}0`,
      ].map((value) => [attribute, value] as const),
    ),
    ...[
      ...[
        'S-1-05-21-1-2-3-500',
        'S-1-5-021-1-2-3-500',
        'S-01-5-21-1-2-3-500',
        'S-1-5-21-1-2-3-0500',
      ],
      ...[
        'S-1-5-21-1-2-3-500-',
        'S-1-5-21-1-2--3-500',
        ' S-1-5-21-1-2-3-500',
        'S-1-5-21-1-2-3-500 ',
      ],
      ...['S-1-0x5-21-1-2-3-500', 'S-1-5-21-1-2-3-4294967796', 'SID:S-1-5-21-1-2-3-500', 'S-1-5'],
    ].map((value) => ['objectSid', value] as const),
  ])('is not missing where no %s can be %j', async (attribute, value) => {
    const guid = Buffer.from('33221100554477668899aabbccddeeff', 'hex');
    const sid = Buffer.from('010500000000000515000000010000000200000003000000f4010000', 'hex');
    const values = { objectGUID: [guid], entryUUID: [guidText], objectSid: [sid] };
    const entries = [person('uid=alice', { uid: ['alice'], ...values })];
    const { join, filters } = made({ find: by(`(${attribute}={username})`) }, { entries });
    await expect(join(value)).rejects.toEqual(failed(`can't be a value of ${attribute}`));
    expect(filters()).toEqual([]);
  });

  test('has exactly one entry, also where the server limits the answer', async () => {
    const twin = person('cn=twin', { uid: ['twin'], mail: ['Alice@example.com'] });
    const several = (option: string) => failed(`${option} matches several entries`);
    const { join } = made({}, { entries: [alice, twin] });
    await expect(join('Alice@example.com')).rejects.toEqual(several('user.lookUpFilter'));
    const cut = made({}, { onSearch: () => ({ code: 4, entries: [alice] }) });
    await expect(cut.join('Alice@example.com')).rejects.toEqual(several('user.lookUpFilter'));
    const atLogin = made({ find: by(undefined) }, loose(alice, twin));
    await expect(atLogin.join('alice')).rejects.toEqual(
      failed('user.filter matches several entries: set user.lookUpFilter, or change user.filter,'),
    );
  });

  test.each([
    'älice@example.com',
    'ａlice@example.com',
    'alice@example.com ',
    'al\u00adice@example.com',
    'alice@EXAMPLE.com\u200b',
    'bob',
  ])('is not the one whom the directory finds by the similar name %j', async (name) => {
    await expect(made({}, loose(alice)).join(name)).rejects.toEqual(
      failed(`found uid=alice,${peopleBase}, whose mail has another value`),
    );
    const atLogin = made({ find: by(undefined) }, loose(alice));
    await expect(atLogin.join(name)).rejects.toEqual(failed('whose uid has another value'));
    const byDn = { by: 'dn', template: parseDnTemplate(`uid={username},${peopleBase}`) } as const;
    await expect(made({ find: byDn }, loose(alice)).join(name)).rejects.toEqual(
      failed('whose uid has another value'),
    );
  });

  test('is named in an error without what no one sees, and not at length', async () => {
    await expect(made({}, loose(alice)).join('a\u0301\u00ad\u202e"')).rejects.toEqual(
      failed('the lookup of "a\\u{301}\\u{ad}\\u{202e}\\u{22}" found'),
    );
    await expect(made({}, loose(alice)).join('山'.repeat(100))).rejects.toEqual(
      failed(`the lookup of "${'山'.repeat(64)}..." found`),
    );
  });

  test('is not found by an attribute that the service account is not allowed to read', async () => {
    const hidden = person('uid=alice', { uid: ['alice'] });
    await expect(made({}, loose(hidden)).join('alice@example.com')).rejects.toEqual(
      failed('which shows no mail: let the service account read it'),
    );
  });

  test('with dnTemplate has the name that the DN is made from', async () => {
    const find = { by: 'dn', template: parseDnTemplate(`uid={username},${peopleBase}`) } as const;
    const { join, steps } = made({ find });
    expect(await join('alice')).toEqual({ username: 'alice', uid: uuid });
    expect(await join('bob')).toBeUndefined();
    expect(steps[0]).toMatch(/^user search \(user\.dnTemplate\) below "uid=alice,/);
    const other = person('uid=alice', { uid: ['bob'] });
    await expect(made({ find }, loose(other)).join('alice')).rejects.toEqual(
      failed('whose uid has another value'),
    );
  });

  test.each(['(mail={username}*)', '(|(uid={username})(cn:caseExactMatch:={username}))'])(
    'is not looked for by %s as user.filter, which compares no whole value',
    async (filter) => {
      const { join, filters } = made({ find: by(undefined, filter) });
      await expect(join('alice')).rejects.toEqual(failed('set user.lookUpFilter'));
      expect(filters()).toEqual([]);
      expect(await made({ find: by('(uid={username})', filter) }).join('alice')).toBeDefined();
    },
  );

  test('is found by a GUID or a SID as text', async () => {
    const guid = Buffer.from('33221100554477668899aabbccddeeff', 'hex');
    const sid = Buffer.from('010500000000000515000000010000000200000003000000f4010000', 'hex');
    const find = by('(|(objectGUID={username})(objectSid={username}))');
    const entries = [person('uid=alice', { uid: ['alice'], objectGUID: [guid], objectSid: [sid] })];
    const { join, filters } = made({ find }, { entries });
    for (const name of ['00112233-4455-6677-8899-aabbccddeeff', 'S-1-5-21-1-2-3-500'])
      for (const one of [name, name.toLowerCase(), name.toUpperCase()])
        expect([one, await join(one)]).toEqual([
          one,
          expect.objectContaining({ username: 'alice' }),
        ]);
    expect(filters()[0]).toMatch(/^\(\|\(objectGUID=\\33\\22\\11\\00.*\)\)$/);
    await expect(join('alice')).rejects.toEqual(
      failed(`"alice" can't be a value of objectGUID or objectSid`),
    );
    expect(filters()).toHaveLength(6);
  });

  test('is not missing where a server only refers to another one', async () => {
    const refers = { onSearch: () => ({ code: 10, entries: [] }) };
    const byDn = { by: 'dn', template: parseDnTemplate(`uid={username},${peopleBase}`) } as const;
    for (const find of [byMail, byDn])
      await expect(made({ find }, refers).join('alice@example.com')).rejects.toEqual(
        failed(
          `below "${peopleBase}" found no one, and was answered with a referral, which is not followed`,
        ),
      );
    const bases = { ...byMail, bases: ['dc=elsewhere', peopleBase] };
    const onSearch = ({ base }: SearchRequest) =>
      base === peopleBase ? undefined : { code: 10, entries: [] };
    const { join } = made({ find: bases }, { onSearch });
    expect(await join('Alice@example.com')).toEqual({ username: 'alice', uid: uuid });
    await expect(join('bob@example.com')).rejects.toEqual(failed('below "dc=elsewhere"'));
  });

  test('is not missing where a server says only that others have parts of the tree', async () => {
    const refers = (base: string, ...references: string[]) => ({
      find: { ...byMail, bases: [base] },
      onSearch: () => ({ references }),
    });
    const domain = 'DC=example,DC=com';
    for (const [base, url] of [
      [peopleBase, `ldap://b.example.com/ou=more,${peopleBase}??sub`],
      [domain, 'ldap://child.example.com/DC=child,DC=example,DC=com'],
      [domain, 'ldap://example.com/CN=Configuration,DC=child,DC=example,DC=com'],
      [domain, 'ldap://example.com/CN=Users,DC=example,DC=com'],
      [domain, 'ldap://example.com/CN=Configuration+OU=x,DC=example,DC=com'],
      [domain, 'ldap://example.com/DC=Configuration,DC=example,DC=com'],
      [domain, 'ldap://example.com/%ZZ'],
      [domain, 'ldap://example.com'],
      [domain, ''],
    ] as const) {
      const { find, onSearch } = refers(base, url);
      await expect(made({ find }, { onSearch }).join('a@x')).rejects.toEqual(
        failed(`below "${base}" found no one, and was answered with a referral`),
      );
    }
    // Active Directory refers to these at each search below its own domain.
    const partitions = ['DC=DomainDnsZones', 'DC=ForestDnsZones', 'CN=Configuration'].map(
      (part) => `ldap://${part.slice(3)}.example.com/${part},DC=Example,DC=com`,
    );
    const { find, onSearch } = refers(
      domain,
      ...partitions,
      `LDAPS://x/cn=configuration,%64c=example,dc=com??sub`,
    );
    expect(await made({ find }, { onSearch }).join('a@x')).toBeUndefined();
    const others = refers(domain, ...partitions, 'ldap://x/DC=child,DC=example,DC=com');
    await expect(made(others, others).join('a@x')).rejects.toEqual(failed('with a referral'));
    const found = () => ({ ...others.onSearch(), entries: [alice] });
    expect(await made(others, { onSearch: found }).join('alice@example.com')).toBeDefined();
  });

  test('is not missing where a server lacks the parent of user.dnTemplate', async () => {
    const find = { by: 'dn', template: parseDnTemplate(`uid={username},${peopleBase}`) } as const;
    const noSuchObject = { code: 32, entries: [] };
    const { join } = made({ find }, { onSearch: () => noSuchObject });
    await expect(join('bob')).rejects.toThrow(
      `the parent in user.dnTemplate "${peopleBase}" does not exist`,
    );
    const parent = entry(peopleBase, {});
    const onSearch = ({ base }: SearchRequest) =>
      base === peopleBase ? { entries: [parent] } : noSuchObject;
    expect(await made({ find }, { onSearch }).join('bob')).toBeUndefined();
  });

  test('without a uid is not the user whom revalidate finds by the same name', async () => {
    const find = by('(mail={username})', '(&(ou=staff)(uid={username}))');
    const one = entry(`cn=old,${peopleBase}`, { uid: ['alice'], mail: ['old@x'] });
    const namesake = entry(`cn=new,${peopleBase}`, { uid: ['alice'], ou: ['staff'] });
    const { join } = made({ find }, { entries: [one, namesake] });
    await expect(join('old@x')).rejects.toEqual(
      failed(`finds cn=old,${peopleBase}, but user.filter finds cn=new,${peopleBase}`),
    );
    const alone = made({ find }, { entries: [one] });
    expect(await alone.join('old@x')).toEqual({ username: 'alice' });
    expect(alone.directory.preferred).toEqual([undefined, 'memory-1']);
    const staff = entry(`cn=new,${peopleBase}`, { uid: ['alice'], ou: ['staff'], mail: ['new@x'] });
    expect(await made({ find }, { entries: [one, staff] }).join('new@x')).toEqual({
      username: 'alice',
    });
    const withUid = person('cn=old', { uid: ['alice'], mail: ['old@x'] });
    expect(await made({ find }, { entries: [withUid, namesake] }).join('old@x')).toEqual({
      username: 'alice',
      uid: uuid,
    });
  });

  test('is not found when the directory is down, the entry is wrong, or the call has ended', async () => {
    const outage = new Error('no server');
    const down = made(
      {},
      {
        onSearch(): undefined {
          throw outage;
        },
      },
    );
    await expect(down.join('alice')).rejects.toBe(outage);
    const bad = person('uid=alice', { uid: ['alice', 'bob'], mail: ['a@x'] });
    await expect(made({}, { entries: [bad] }).join('a@x')).rejects.toEqual(
      failed('values of the attribute uid'),
    );
    const gone = new Error('gone');
    for (const name of ['alice', ''])
      await expect(made().join(name, AbortSignal.abort(gone))).rejects.toBe(gone);
    const controller = new AbortController();
    const onSearch = (_: SearchRequest) => {
      controller.abort(gone);
      return undefined;
    };
    await expect(made({}, { onSearch }).join('alice', controller.signal)).rejects.toBe(gone);
  });
});
