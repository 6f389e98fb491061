import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@sallyport/test/command';
import { documentedSecrets } from '@sallyport/test/documented-secrets';
import { codeBlocksOf } from '@sallyport/test/documents';
import { temporaryFolder } from '@sallyport/test/folder';
import { redisUsers } from '@sallyport/test-servers/redis-users';
import { secret } from '@sallyport/test-servers/tokens';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { problemsOfConfigs } from './testing/load-configs.ts';
import { pages, readPage } from './testing/pages.ts';

/** Pages whose YAML is all of gateway.yaml, in parts. */
const reference = ['docs/configuration.md', 'docs/identity-policy.md'];

/** What follows a part without authenticators: those that the parts about logins name. */
const rest = `
authenticators:
  - { name: sessions, use: redis, options: { url: redis://localhost } }
  - name: corp
    use: ldap
    options: { urls: [ldaps://ldap.example.com], user: { base: "dc=example,dc=com", filter: "(uid={username})" } }
  - name: oidc
    use: jwt
    options: { issuers: [{ issuer: { url: https://idp.example.com, audiences: [a] }, claimMappings: { username: { claim: sub } } }] }
`;

/** What a part needs in which people log in in a browser, or with a second factor. */
const sharedRedis =
  'cache: { redis: { url: redis://localhost, sealingKeys: [{ env: SEALING_KEY }] } }';

/** The whole configs in a document: the code blocks that say that they are one, and in the reference every YAML. */
function configsOf(page: string, markdown: string): string[] {
  const isPart = reference.includes(page);
  return codeBlocksOf(markdown).flatMap(({ language, text }) => {
    if (text.startsWith('# gateway.yaml')) return [text];
    if (!isPart || language !== 'yaml' || !/^\w/m.test(text)) return [];
    if (text.includes('authenticators:\n')) return [text];
    return [text + (/browser: true|secondFactor:/.test(text) ? sharedRedis : '') + rest];
  });
}

test('each config of a page can be loaded', async () => {
  const configs = (
    await Promise.all(
      pages.map(async (page) =>
        configsOf(page, await readPage(page)).map((config, index) => ({
          name: `${page}: config ${index + 1}`,
          config,
        })),
      ),
    )
  ).flat();
  expect(configs.length).toBeGreaterThan(30);
  const problems = await problemsOfConfigs(configs.map(({ config }) => config));
  expect(
    configs.flatMap(({ name }, index) =>
      (problems[index] ?? []).map((problem) => `${name}: ${problem}`),
    ),
  ).toEqual([]);
});

test('a config that can not be loaded is found', async () => {
  const [problems] = await problemsOfConfigs(['authenticators: []\nserve: {}\n']);
  expect(problems?.join('\n')).toContain('did you mean server?');
});

test('the configs of docs/entra-id.md use the authenticators of docs/directory.md, or groups of the token', async () => {
  const [whole, tokenOnly] = codeBlocksOf(await readPage('docs/entra-id.md'));
  const [tested] = codeBlocksOf(await readPage('docs/directory.md')).filter(
    ({ language }) => language === 'yaml',
  );
  const config = parse(whole?.text ?? '');
  const [sessions, oidc, corp] = config.authenticators;
  const [testedOidc, testedCorp] = parse(tested?.text ?? '').authenticators;
  // Users of the page log in with a browser, where tokens are for no API server.
  delete testedOidc.options.issuers[0].apiAudiences;
  expect([oidc, corp]).toEqual([testedOidc, testedCorp]);
  const authenticators = [sessions, ...parse(tokenOnly?.text ?? '')];
  expect(authenticators[1].options.issuers[0].issuer).toEqual(oidc.options.issuers[0].issuer);
  expect(await problemsOfConfigs([stringify({ ...config, authenticators })])).toEqual([[]]);
});

test('the account of the systemd unit can read each secret of the pages', async () => {
  const texts = await Promise.all(['examples/production.yaml', ...pages].map(readPage));
  const keys = texts.flatMap((text) => [
    ...text.matchAll(/\b(?:keyFile: *|`)(tls\/[\w.-]+\.key)\b/g),
    ...text.matchAll(/\{ file: (secrets\/[\w.-]+) \}/g),
  ]);
  const names = new Set(keys.map(([, name = '']) => name));
  // Only `init` uses that key, as root.
  names.delete('tls/ca.key');
  expect([...names].sort()).toEqual(documentedSecrets);
});

describe('what init writes', () => {
  let written: string;
  let printed: string;
  beforeAll(async () => {
    const folder = await temporaryFolder('init');
    const words = ['init', 'made', '--host', 'gw.example.com', '--login', 'login.example.com'];
    const made = await runCommand([...words, '--redis', 'rediss://redis.example.com:6380'], {
      cwd: folder,
    });
    expect(made).toMatchObject({ code: 0, stderr: '' });
    printed = made.stdout;
    secret(/"token":"([^"]+)"/.exec(printed)?.[1] ?? '');
    written = await readFile(join(folder, 'made/gateway.yaml'), 'utf8');
  });

  test('is what docs/login.md leaves to the user to fill in', async () => {
    const blocks = codeBlocksOf(await readPage('docs/login.md'));
    const shown = (blocks.find(({ text }) => /^ *authenticators:\n/.test(text))?.text ?? '')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && line !== 'authenticators:');
    const lines = written.split('\n').map((line) => line.trim());
    expect(shown.length).toBeGreaterThan(15);
    expect(shown.filter((line) => !lines.includes(line))).toEqual([]);
  });

  test('fits the provider that docs/login-browser.md adds', async () => {
    const blocks = codeBlocksOf(await readPage('docs/login-browser.md'));
    const block = blocks.find(({ text }) => text.startsWith('# keys for gateway.yaml\n'));
    const [config, added] = [parse(written), parse(block?.text ?? '')];
    expect(Object.keys(added)).toEqual(['authenticators', 'login']);
    expect([Object.keys(added.login.providers), added.login.browser]).toEqual([['sso'], true]);
    const authenticators = [...config.authenticators, ...added.authenticators];
    const login = { ...config.login, ...added.login };
    const whole = stringify({ ...config, authenticators, login });
    expect(await problemsOfConfigs([whole])).toEqual([[]]);
  });

  test('fits a directory in place of the groups of the provider', async () => {
    const blocks = codeBlocksOf(await readPage('docs/login-browser.md'));
    const block = blocks.find(({ text }) => text.startsWith('# keys for gateway.yaml\n'));
    const [config, added] = [parse(written), parse(block?.text ?? '')];
    const directory = { authenticator: 'corp', by: 'uid' };
    const [oidc] = added.authenticators;
    const authenticators = [...config.authenticators, { ...oidc, directory, groups: undefined }];
    const corp = authenticators.find(({ name }) => name === 'corp');
    const filter =
      '(&(employeeNumber={username})(memberOf=cn=k8s-users,ou=groups,dc=example,dc=com))';
    expect(await readPage('docs/login-browser.md')).toContain(`\`${filter}\``);
    corp.options.user.lookUpFilter = filter;
    const login = { ...config.login, ...added.login };
    const whole = stringify({ ...config, authenticators, login });
    expect(await problemsOfConfigs([whole])).toEqual([[]]);
  });

  test('needs a user of Redis with the documented rights', () => {
    const [, rights] = /^ *user sallyport on #\w{64} (.*)$/m.exec(printed) ?? [];
    expect(redisUsers['One user for everything']).toEqual([
      `user sallyport on >PASSWORD ${rights}`,
    ]);
  });
});
