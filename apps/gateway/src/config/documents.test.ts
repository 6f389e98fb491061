import { randomBytes } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { configFolder } from './testing/config-folder.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const exclude = (path: string): boolean =>
  /^(node_modules|test-results|dist|\..*|CHANGELOG\.md)$/.test(basename(path));

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

/** The whole configs in a document: the code blocks that say that they are one, without the indentation of a list. */
function configsOf(page: string, markdown: string): string[] {
  const blocks = [...markdown.matchAll(/^( *)```(\w*)[^\n]*\n(.*?)^ *```$/gms)].map(
    ([, indentation, language, text = '']) => ({
      language,
      text: text.replaceAll(new RegExp(`^${indentation}`, 'gm'), ''),
    }),
  );
  const isPart = reference.includes(page);
  return blocks.flatMap(({ language, text }) => {
    if (text.startsWith('# gateway.yaml')) return [text];
    if (!isPart || language !== 'yaml' || !/^\w/m.test(text)) return [];
    if (text.includes('authenticators:\n')) return [text];
    return [text + (/browser: true|secondFactor:/.test(text) ? sharedRedis : '') + rest];
  });
}

const configs = globSync('**/*.md', { cwd: root, exclude })
  .sort()
  .flatMap((page) =>
    configsOf(page, readFileSync(join(root, page), 'utf8')).map(
      (config, index) => [page, index + 1, config] as const,
    ),
  );

/** A value for a secret, by its name. */
function sample(name: string): string {
  if (/url/i.test(name)) return 'rediss://gateway:password@redis.example.com:6379';
  return randomBytes(32).toString('base64');
}

test.each(configs)('%s: config %i can be loaded', async (_page, _index, config) => {
  await using folder = await configFolder();
  for (const [, file = ''] of config.matchAll(/\{ file: ([\w./-]+) \}/g))
    await folder.write(file, sample(file));
  const variables = [...config.matchAll(/\{ env: (\w+) \}/g)].map(
    ([, name = '']) => [name, sample(name)] as const,
  );
  expect(
    (await folder.load(config, Object.fromEntries(variables))).authenticators.length,
  ).toBeGreaterThan(0);
});
