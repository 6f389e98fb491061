import type { UserInfo } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import type { DirectoryConfig } from '../../config/types.ts';
import { wholeDetail } from '../finding.ts';
import { checkLookedUpBy, directoryUse } from './check-directories.ts';

const directoryOf = (by: DirectoryConfig['by']) =>
  ({ authenticator: 'corp', by }) as DirectoryConfig;

test('a plugin learns by what its users are looked up, and whether others look theirs up in it', () => {
  const oidc = { name: 'oidc', directory: directoryOf({ extra: 'mail' }) };
  const [corp, robots] = [{ name: 'corp' }, { name: 'robots' }];
  const all = [oidc, corp, robots];
  expect(all.map((one) => directoryUse(one, all))).toEqual([
    { lookedUpBy: { extra: 'mail' } },
    { isDirectory: true },
    {},
  ]);
});

describe('users without what they are looked up by', () => {
  function warnings(by: DirectoryConfig['by'] | undefined, users: () => readonly UserInfo[]) {
    const withhold = (words: string) => words.replaceAll('secret', 'withheld');
    const config = { name: 'oidc', withhold, ...(by && { directory: directoryOf(by) }) };
    return checkLookedUpBy({ config, authenticator: { knownUsers: users } }).map(
      (one) => `${one.result}: ${wholeDetail(one)}`,
    );
  }
  const none = { username: '<sub>' };
  const two = { username: 'jane', extra: { mail: ['a', 'b'] } };
  const one = { username: 'ada', uid: '7', extra: { mail: ['a'] } };
  const setKey =
    'set the option of oidc that gives its users this key of extra, or another directory.by';

  test.each<{
    name: string;
    by: DirectoryConfig['by'];
    users: readonly UserInfo[];
    message: string;
  }>([
    {
      name: 'none has the key',
      by: { extra: 'mail' },
      users: [none],
      message: `warning: no user of oidc has exactly one value of extra mail, so none can be looked up in corp: ${setKey}`,
    },
    {
      name: 'none has a uid',
      by: 'uid',
      users: [none, two],
      message:
        'warning: no user of oidc has a uid, so none can be looked up in corp: set the option of oidc that gives its users a uid, or another directory.by',
    },
    {
      name: 'no object has such a key of its own',
      by: { extra: 'constructor' },
      users: [one],
      message: `warning: no user of oidc has exactly one value of extra constructor, so none can be looked up in corp: ${setKey}`,
    },
    {
      name: 'some have several values',
      by: { extra: 'mail' },
      users: [one, two],
      message: `warning: 1 of its users can't be looked up in corp, since they don't have exactly one value of extra mail: jane: ${setKey}`,
    },
    {
      name: 'very many',
      by: 'uid',
      users: [one, ...Array.from({ length: 7 }, () => ({ username: 'secret' }))],
      message:
        "warning: 7 of its users can't be looked up in corp, since they don't have a uid: withheld; withheld; withheld; withheld; withheld, and 2 more: " +
        'set the option of oidc that gives its users a uid, or another directory.by',
    },
  ])('are warned of: $name', ({ by, users, message }) => {
    expect(warnings(by, () => users)).toEqual([message]);
  });

  test('nothing is said of a username, of users who have it, and where no user is known', () => {
    expect(warnings('username', () => [none])).toEqual([]);
    expect(warnings(undefined, () => [none])).toEqual([]);
    expect(warnings('uid', () => [one])).toEqual([]);
    expect(warnings('uid', () => [])).toEqual([]);
    const failing = () => {
      throw new Error('bug');
    };
    expect(warnings('uid', failing)).toEqual([]);
  });
});
