import { expect, test } from 'vitest';
import { parseDnTemplate } from './filter/templates.ts';
import { joinWarnings } from './join-warnings.ts';
import { filterTemplate, peopleBase, userOptions } from './options/testing/ldap-options.ts';
import { documentedFilter } from './testing/documented.ts';

const warnings = (filter: string, lookUpFilter?: string) =>
  joinWarnings(
    userOptions({
      find: {
        by: 'search',
        bases: [peopleBase],
        scope: 'sub',
        filter: filterTemplate(filter),
        ...(lookUpFilter !== undefined && { lookUpFilter: filterTemplate(lookUpFilter) }),
      },
    }),
  );

test.each([
  '(uid={username})',
  documentedFilter,
  '(|(sAMAccountName={username})(userPrincipalName={username}))',
  '(&(mail=*)(employeeNumber={username})(!(description=x)))',
])('%s finds users of other authenticators without a warning', (filter) => {
  expect(warnings(filter)).toEqual([]);
  expect(warnings('(mail={username})', filter)).toEqual([]);
});

test.each([
  { filter: '(mail={username})', named: 'mail' },
  { filter: '(MAIL;lang-en={username})', named: 'MAIL;lang-en' },
  {
    filter: '(|(uid={username})(displayName={username})(telephoneNumber={username}))',
    named: 'displayName and telephoneNumber',
  },
])('$filter is warned of, since users may write what it compares', ({ filter, named }) => {
  expect(warnings('(uid={username})', filter)).toEqual([
    expect.stringContaining(`user.lookUpFilter finds users of other authenticators by ${named}: `),
  ]);
  expect(warnings(filter)).toEqual([
    expect.stringContaining(
      `the filter of options.user finds users of other authenticators by ${named}: `,
    ),
  ]);
});

test('a filter of logins that compares no whole value is warned of, unless another one is given', () => {
  expect(warnings('(mail={username}*)')).toEqual([
    expect.stringMatching(/^user\.filter can't find users of other .+: set user\.lookUpFilter/),
  ]);
  expect(warnings('(mail={username}*)', '(uid={username})')).toEqual([]);
});

test('a DN that is made from the name is not warned of', () => {
  const template = parseDnTemplate(`cn={username},${peopleBase}`);
  expect(joinWarnings(userOptions({ find: { by: 'dn', template } }))).toEqual([]);
});
