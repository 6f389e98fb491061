import { expect, test } from 'vitest';
import type { LoginConfig, SecondFactorConfig } from '../../config/types.ts';
import { wholeDetail } from '../finding.ts';
import { checkSecondFactor } from './check-second-factor.ts';

const made = (name: string, reviews: boolean, takesPasswords: boolean, prefix = `${name}:`) => ({
  config: { name, reviews, username: { prefix } },
  authenticator: takesPasswords ? { loginToken: () => '' } : {},
});
const corp = (reviews: boolean) => made('corp', reviews, true);
const sessions = made('sessions', true, false);

interface Setup {
  readonly required?: SecondFactorConfig['required'];
  readonly covered?: readonly string[];
  readonly authenticators?: readonly string[];
  readonly providers?: readonly string[];
  readonly created?: Parameters<typeof checkSecondFactor>[1];
}

function find({ required = 'all', covered, ...setup }: Setup = {}): readonly string[] {
  const { authenticators = ['corp'], providers = [], created = [corp(false), sessions] } = setup;
  const secondFactor = {
    required,
    redis: { keyPrefix: 'sallyport:' },
    ...(covered && { authenticators: covered }),
  };
  const login = {
    authenticators,
    sessions: 'sessions',
    providers: Object.fromEntries(providers.map((name) => [name, { authenticator: 'oidc' }])),
    secondFactor,
  } as unknown as LoginConfig;
  return checkSecondFactor({ login }, created).map(
    (finding) => `${finding.result} ${wholeDetail(finding)}`,
  );
}

test('says which users must have one, and nothing more if there is no way around it', () => {
  expect(find()).toEqual(['ok required of all users who log in with a password']);
  expect(find({ required: { groups: ['corp:admins', 'corp:dev'] } })).toEqual([
    'ok required of members of corp:admins, corp:dev',
  ]);
  expect(find({ required: 'none' })).toEqual([
    'ok required of no one: only users who have one are asked for it, and anyone who can delete the keys sallyport:factor:* in its Redis can remove it',
  ]);
  expect(checkSecondFactor({}, [corp(true)])).toEqual([]);
});

test('warns of logins that share names, and not the second factors of these', () => {
  const setup = {
    authenticators: ['corp', 'corp2', 'partner'],
    created: [corp(false), made('corp2', false, true, 'corp:'), made('partner', false, true)],
  };
  const warnings = (changed: Setup) =>
    find({ ...setup, ...changed }).filter((line) => line.includes('same names'));
  expect(warnings({ required: 'none' })).toEqual([
    'warning users of authenticators corp, corp2 can have the same names, and each of these asks only for a second factor that was added there: set login.secondFactor.required: all, or give each authenticator a username.prefix of its own',
  ]);
  expect(warnings({ required: { groups: ['corp:admins'] }, covered: ['corp'] })).toHaveLength(1);
  expect(warnings({ required: 'all' })).toEqual([]);
  expect(warnings({ required: 'none', covered: ['partner'] })).toEqual([]);
  expect(warnings({ required: 'none', authenticators: ['corp', 'partner'] })).toEqual([]);
});

test.each<{ name: string; setup: Setup; ways: readonly string[] }>([
  {
    name: 'a covered authenticator takes passwords as tokens',
    setup: { created: [corp(true), sessions] },
    ways: [
      'authenticator corp accepts a name and a password as a bearer token, without a second factor: anyone who has the password of a user gets in: add reviews: false to authenticator corp. Its users then need kubectl sallyport to log in',
    ],
  },
  {
    name: 'another authenticator takes passwords as tokens',
    setup: { created: [corp(false), made('partner', true, true), sessions] },
    ways: [
      'authenticator partner accepts a name and a password as a bearer token, without a second factor: login.secondFactor does not cover it, and its users may be the same people: if they are, remove authenticator partner, or move them to corp',
    ],
  },
  {
    name: 'an authenticator that is not covered logs people in, and takes passwords as tokens: one finding',
    setup: {
      authenticators: ['corp', 'partner'],
      covered: ['corp'],
      created: [corp(false), made('partner', true, true), sessions],
    },
    ways: [
      expect.stringMatching(
        /partner accepts .*: add reviews: false to authenticator partner, and add it to login\.secondFactor\.authenticators$/,
      ),
    ],
  },
  {
    name: 'an authenticator that is not covered logs people in',
    setup: {
      authenticators: ['corp', 'partner'],
      covered: ['corp'],
      created: [corp(false), made('partner', false, true), sessions],
    },
    ways: [
      'users of authenticator partner log in with the password alone: login.secondFactor.authenticators does not include it: add partner there',
    ],
  },
  {
    name: 'people log in at a provider',
    setup: { providers: ['okta'] },
    ways: [
      'users who log in at provider okta are not asked for it: they have the second factor of the provider, if it asks for one: require it there, and have authenticator oidc accept only ID tokens that say so, such as claimValidationRules: [{ claim: acr, requiredValue: VALUE }]',
    ],
  },
])('warns when $name', ({ setup, ways }) => {
  const warnings = ways.map((way) => (typeof way === 'string' ? `warning ${way}` : way));
  expect(find(setup).slice(1)).toEqual(warnings);
  expect(find({ ...setup, required: 'none' }).slice(1)).toEqual(warnings);
});

test('names the authenticators whose tokens are not from a login, in one line', () => {
  const created = [
    corp(false),
    made('emergency', true, false),
    made('robots', true, false),
    made('directory', false, false),
    sessions,
  ];
  expect(find({ created })[1]).toBe(
    'ok tokens of emergency, robots need no second factor: anyone who has one gets in',
  );
});
