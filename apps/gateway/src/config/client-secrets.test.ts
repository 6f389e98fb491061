import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fillClientSecrets } from './client-secrets.ts';
import {
  type ConfigFolder,
  configFolder,
  folderWithProbe,
  pluginSource,
} from './testing/config-folder.ts';

function fill(folder: ConfigFolder, login: unknown, environment: Record<string, string> = {}) {
  return fillClientSecrets({ login }, { environment, baseDirectory: folder.path });
}

const nothing = { problems: [], warnings: [], files: [], secrets: [] };

test('client secrets are read from files and the environment, and the rest stays', async () => {
  await using folder = await configFolder();
  const [inFile, inEnvironment] = [
    randomBytes(16).toString('hex'),
    randomBytes(16).toString('hex'),
  ];
  await folder.write('secrets/okta', `${inFile}\n`);
  const providers = {
    okta: { clientId: 'a', clientSecret: { file: 'secrets/okta' } },
    entra: { clientId: 'b', clientSecret: { env: 'ENTRA' } },
    // PKCE alone.
    public: { clientId: 'c' },
  };
  expect(await fill(folder, { sessions: 's', providers }, { ENTRA: inEnvironment })).toEqual({
    value: {
      login: {
        sessions: 's',
        providers: {
          okta: { clientId: 'a', clientSecret: inFile },
          entra: { clientId: 'b', clientSecret: inEnvironment },
          public: { clientId: 'c' },
        },
      },
    },
    ...nothing,
    files: [join(folder.path, 'secrets/okta')],
    secrets: [inFile, inEnvironment],
  });
});

test.each([
  { login: undefined },
  { login: null },
  { login: {} },
  { login: { providers: [] } },
  { login: { providers: { okta: null } } },
  { login: { providers: { okta: 'x' } } },
])('what is not a provider is left to the schema: $login', async ({ login }) => {
  await using folder = await configFolder();
  expect(await fill(folder, login)).toEqual({ value: { login }, ...nothing });
});

/** The problems of a config with this client secret. */
async function problemsWith(clientSecret: unknown, more: object = {}) {
  await using folder = await folderWithProbe(pluginSource('z.strictObject({})'));
  await folder.write('issuer.js', pluginSource('z.strictObject({})', 'createTokenIssuer() {}'));
  await folder.write('secrets/empty', '');
  const config = {
    authenticators: [
      { name: 'oidc', use: './probe.js' },
      { name: 'sessions', use: './issuer.js' },
    ],
    login: {
      publicUrl: 'https://login.example.com',
      sessions: 'sessions',
      browser: true,
      providers: { okta: { authenticator: 'oidc', clientId: 'a', clientSecret, ...more } },
    },
    cache: {
      redis: { url: 'redis://127.0.0.1:6379', sealingKeys: [{ env: 'KEY' }] },
    },
  };
  const key = randomBytes(32).toString('base64');
  return await folder.problems(JSON.stringify(config), { KEY: key, SECRET: 'hunter2' });
}

test.each<{ where: string; written: unknown; message: string }>([
  {
    where: 'in the file',
    written: 'hunter2',
    message:
      'is a secret, which must not be in this file: write { file: secrets/okta } or { env: CLIENT_SECRET }',
  },
  {
    where: 'in a file that is not there',
    written: { file: 'secrets/none' },
    message: "secrets/none can't be read: there is no such file: create it, or fix the path",
  },
  {
    where: 'in an empty file',
    written: { file: 'secrets/empty' },
    message: 'the file secrets/empty is empty: write the secret into it',
  },
  {
    where: 'in a variable that is not set',
    written: { env: 'NONE' },
    message: 'the environment variable NONE is not set: set it where the gateway is started',
  },
])('a client secret $where is the only problem, and is not shown', async ({ written, message }) => {
  const problems = await problemsWith(written);
  expect(problems).toEqual([
    expect.stringMatching(/^gateway\.yaml:1:\d+: login\.providers\.okta\.clientSecret: /),
  ]);
  expect(problems[0]).toContain(message);
  expect(problems[0]).not.toContain('hunter2');
});

test.each([{ clientSecret: { env: 'SECRET' } }, { clientSecret: 'hunter2' }])(
  'a problem that would quote a secret does not: $clientSecret',
  async ({ clientSecret }) => {
    const problems = await problemsWith(clientSecret, { ttl: 'hunter2' });
    expect(problems.filter((one) => one.includes('.ttl: '))).toEqual([
      expect.stringMatching(
        /login\.providers\.okta\.ttl: is refused; the reason is hidden because it contains a secret$/,
      ),
    ]);
  },
);
