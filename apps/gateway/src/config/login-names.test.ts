import { expect, test } from 'vitest';
import { folderWithProbe, pluginSource } from './testing/config-folder.ts';

const options = 'z.strictObject({})';

/** The problems of `login` with these values. Of the authenticators, `sessions` and `robots` can issue tokens; `broken` can't be loaded. */
async function problemsOf(
  login: object,
  names: readonly string[] = ['tokens', 'corp', 'sessions', 'robots'],
) {
  await using folder = await folderWithProbe(pluginSource(options));
  await folder.write('issuer.js', pluginSource(options, 'createTokenIssuer() {}'));
  const uses: Readonly<Record<string, string>> = {
    sessions: 'issuer',
    robots: 'issuer',
    broken: 'missing',
  };
  const entries = names.map((name) => ({ name, use: `./${uses[name] ?? 'probe'}.js` }));
  const given = {
    publicUrl: 'https://login.example.com',
    authenticators: ['corp'],
    sessions: 'sessions',
    ...login,
  };
  // JSON is YAML. Each key has a line of its own.
  const problems = await folder.problems(
    JSON.stringify({ login: given, authenticators: entries }, undefined, 1),
  );
  return problems.filter((problem) => problem.includes('login'));
}

test.each([
  { sessions: 'session', fix: 'did you mean sessions?' },
  // "tokens" is near, and can hold none.
  { sessions: 'token', fix: 'write one of sessions, robots' },
  { sessions: 'other', fix: 'write one of sessions, robots' },
])(
  'login.sessions: $sessions is not an authenticator, and only one that can hold sessions is proposed',
  async ({ sessions, fix }) => {
    expect(await problemsOf({ sessions })).toEqual([
      `gateway.yaml:7:15: login.sessions: "${sessions}" is not an authenticator of this file: ${fix}`,
    ]);
  },
);

test('nothing is said of names while two authenticators have one: it may be that which one of them lacks', async () => {
  expect(await problemsOf({}, ['corp', 'corp'])).toEqual([]);
});

test('one that checks passwords is not proposed for login.sessions', async () => {
  expect(await problemsOf({ authenticators: ['robots'], sessions: 'robot' })).toEqual([
    expect.stringMatching(
      /login\.sessions: "robot" is not an authenticator of this file: write one of sessions$/,
    ),
  ]);
});

test('without an authenticator that can hold sessions, one is to be added', async () => {
  expect(await problemsOf({}, ['tokens', 'corp'])).toEqual([
    expect.stringMatching(
      /login\.sessions: .*: add an authenticator with use: redis, and write its name$/,
    ),
  ]);
});

test('an authenticator that could not be loaded may be meant', async () => {
  expect(await problemsOf({ sessions: 'brokn' }, ['corp', 'broken'])).toEqual([
    expect.stringMatching(/login\.sessions: .*: did you mean broken\?$/),
  ]);
});

test('login.sessions names one that issues no tokens', async () => {
  expect(await problemsOf({ sessions: 'tokens' })).toEqual([
    expect.stringMatching(
      /login\.sessions: authenticator tokens .* can't issue tokens.*: name an authenticator with use: redis$/,
    ),
  ]);
});

test.each([
  { name: 'cor', fix: 'did you mean corp?' },
  // It holds the sessions, so it can't check passwords.
  {
    name: 'session',
    fix: 'write the name of an authenticator that checks passwords, such as one with use: ldap',
  },
])('login.authenticators: $name is not an authenticator', async ({ name, fix }) => {
  expect(await problemsOf({ authenticators: ['corp', name] })).toEqual([
    `gateway.yaml:6:4: login.authenticators[1]: "${name}" is not an authenticator of this file: ${fix}`,
  ]);
});

test.each([
  { authenticator: 'cor', fix: 'did you mean corp?' },
  {
    authenticator: 'other',
    fix: 'write the name of an authenticator that checks ID tokens, such as one with use: jwt',
  },
])('login.providers: $authenticator is not an authenticator', async ({ authenticator, fix }) => {
  const providers = { okta: { authenticator, clientId: 'sallyport' } };
  const problems = await problemsOf({ browser: true, providers });
  expect(problems.filter((one) => one.includes('providers'))).toEqual([
    `gateway.yaml:11:22: login.providers.okta.authenticator: "${authenticator}" is not an authenticator of this file: ${fix}`,
  ]);
});

test('while an authenticator has no name, no name is called unknown', async () => {
  await using folder = await folderWithProbe();
  const problems = await folder.problems(
    '{ authenticators: [{ nam: corp, use: ./probe.js }], login: { publicUrl: "https://x", authenticators: [corp], sessions: s } }',
  );
  expect(problems.filter((problem) => problem.includes('no authenticator of this file'))).toEqual(
    [],
  );
});
