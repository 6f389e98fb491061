import { randomBytes } from 'node:crypto';
import { conformanceCases, type ValidToken } from '@sallyport/authenticator/conformance';
import { afterAll, beforeAll, expect, test } from 'vitest';
import plugin from './index.ts';
import { startProvider, type TestProvider } from './testing/provider.ts';
import { optionsFor } from './testing/written-options.ts';

const claims = Object.fromEntries(
  Array.from({ length: 150 }, (_, index) => [
    `robot-${index}`,
    { groups: ['robots', `team-${index}`], team: 'a' },
  ]),
);
let provider: TestProvider;
let users: ValidToken[] = [];
let misplaced = '';
beforeAll(async () => {
  provider = await startProvider(claims);
  const names = Object.keys(claims);
  const tokens = await Promise.all(names.map((name) => provider.token(name)));
  users = names.map((username, index) => ({
    token: tokens[index] ?? '',
    user: {
      username,
      uid: username,
      groups: ['robots', `team-${index}`],
      extra: { 'example.com/team': ['a'] },
    },
  }));
  misplaced = await provider.token('robot-0', 'elsewhere');
});
afterAll(() => provider?.[Symbol.asyncDispose]());

const cases = conformanceCases({
  plugin,
  get options() {
    return optionsFor(provider);
  },
  badOptions: [
    { options: {}, key: 'issuers' },
    {
      options: { issuers: [{ issuer: { url: 'http://idp', audiences: ['a'] } }] },
      key: 'issuers.0.issuer.url',
    },
  ],
  baseDirectory: '/',
  get validTokens() {
    return users.slice(0, 4);
  },
  get rejectedTokens() {
    const [one, other] = users.map(({ token }) => token.split('.'));
    return [
      { token: misplaced, reason: 'audience-mismatch' as const, subject: 'robot-0' },
      { token: [one?.[0], other?.[1], one?.[2]].join('.'), reason: 'invalid-credentials' as const },
    ];
  },
  foreignTokens: [randomBytes(32).toString('base64url'), 'alice:password', 'eyJ.eyJ.x'],
  secrets: [],
  get backend() {
    return {
      stop: () => provider.stop(),
      start: () => provider.start(),
      hang: async () => provider.hang(),
    };
  },
  sendsPasswords: false,
  watchesFiles: true,
  manyTokens: async (count) => users.slice(0, count),
  // Only a case that fails waits this long.
  ...{ deadline: 40_000, recoverWithin: 100_000, limit: 200_000 },
  skip: {
    'a stopped backend is reported as unavailable, never as a refusal':
      'the keys that were read stay in force: key-set.test.ts tests when they do not',
    'a call that waits for a hung backend ends when it is aborted':
      'a call waits only for the first keys: key-set.test.ts tests it',
  },
});

for (const { name, skip, run } of cases) if (skip === undefined) test(name, run);

test('skips only what follows from keys that stay in force, and what passwords need', () => {
  expect(
    cases.flatMap(({ name, skip }) => (skip === undefined ? [] : [name])),
  ).toMatchInlineSnapshot(`
    [
      "a call that waits for a hung backend ends when it is aborted",
      "a stopped backend is reported as unavailable, never as a refusal",
    ]
  `);
});
