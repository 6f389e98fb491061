import { expect, test } from 'vitest';
import { sharedNames } from './check-shared-names.ts';

/** Its tokens are `PREFIXname:password`. */
const directory = (name: string, prefix = '') => ({
  name,
  authenticator: {
    loginToken: (username: string, password: string) => `${prefix}${username}:${password}`,
    recognizes: (token: string) => token.startsWith(prefix) && token.slice(prefix.length).split(':').length === 2,
  },
});
const [corp, partner, lab] = [directory('corp'), directory('partner'), directory('lab', 'lab:')];
const robots = { name: 'robots', authenticator: { recognizes: () => true } };

test.each([
  [
    [corp, robots, partner],
    undefined,
    ['corp, partner: they are asked in this order about a name and a password in a token,'],
  ],
  [[corp, partner], ['corp', 'partner'], ['corp, partner: they … a password in a token or at a login,']],
  [
    [corp, partner],
    ['partner', 'corp'],
    ['corp, partner: they … in a token,', 'partner, corp: they … at a login,'],
  ],
  [[corp, lab], ['corp', 'lab'], ['corp, lab: they … at a login,']],
  [[corp, lab], ['corp'], []],
  [[corp, lab], undefined, []],
  [[robots, corp], undefined, []],
  [[{ name: 'any', authenticator: { loginToken: () => 'x' } }, lab], undefined, ['any, lab: they … in a token,']],
])('of %j with logins by %j', (all, login, expected) => {
  const found = sharedNames(all, login);
  expect(found).toHaveLength(expected.length);
  for (const [at, words] of expected.entries()) {
    const pattern = words.split('…').join('.*');
    expect(found[at]).toMatch(new RegExp(`^${pattern} and the first one that knows the name decides\\. `));
  }
});
