import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { toLdif } from '@sallyport/test-servers/ldif';
import { ldapToken } from '@sallyport/test-servers/people';
import { startRedis } from '@sallyport/test-servers/redis';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, secret, secretsInUse } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { shareBrowser, watchedPage } from './testing/browser.ts';
import { sealingKey } from './testing/cache-gateway.ts';
import { type Client, http1Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { rootFolder } from './testing/pnpm.ts';
import { operatorIn } from './testing/redis-commands.ts';
import { seededRandom } from './testing/seeded-random.ts';

// `pnpm --filter @sallyport/test run picture` lets a quarter of an hour of traffic pass, as much as the page shows, and
// replaces docs/status-page.png.
const duration = 15 * 60_000;
/** The time of the outage of the directory, in parts of `duration`. */
const outage = { from: 0.72, to: 0.79 };
/** The maximum number of bytes. A reader of the README would wait for a larger picture. */
const maxPictureSize = 200_000;

const people = [
  'alice',
  'bruno',
  'chioma',
  'daria',
  'emeka',
  'farid',
  'gita',
  'hanna',
  'ivo',
  'kaya',
  'lena',
  'mateo',
];
const robots = ['ci', 'deploy', 'backup', 'metrics'];

async function addPeople(slapd: Slapd): Promise<string[]> {
  const passwords = people.map(() => randomToken());
  const entries = people.map((name, index) => ({
    dn: `uid=${name},ou=people,${slapd.suffix}`,
    attributes: {
      objectClass: ['account', 'simpleSecurityObject'],
      userPassword: passwords[index] ?? '',
    },
  }));
  const members = entries.map(({ dn }) => dn);
  const group = {
    dn: `cn=k8s-users,ou=groups,${slapd.suffix}`,
    attributes: { objectClass: 'groupOfNames', member: members },
  };
  await slapd.add(toLdif([...entries, group]));
  return people.map((name, index) => ldapToken(name, passwords[index] ?? ''));
}

/** A gateway in front of a real directory and a real Redis, as examples/production.yaml has them, but on loopback. */
async function startExample(slapd: Slapd, redisUrl: string): Promise<Gateway> {
  const corp = {
    urls: [slapd.ldapsUrl],
    caFile: 'ldap-ca.crt',
    bind: { dn: slapd.service.dn, password: { file: 'ldap-password' } },
    user: { base: `ou=people,${slapd.suffix}`, filter: '(uid={username})' },
    groups: { base: `ou=groups,${slapd.suffix}`, filter: '(member={dn})' },
  };
  const prefixes = (prefix: string): object => ({ username: { prefix }, groups: { prefix } });
  const authenticators = [
    { name: 'robots', use: 'redis', ...prefixes('robot:'), options: { url: redisUrl } },
    { name: 'corp', use: 'ldap', ...prefixes('corp:'), options: corp },
    {
      name: 'break-glass',
      use: 'static',
      ...prefixes('break-glass:'),
      options: { tokensFile: 'tokens.yaml' },
    },
  ];
  const cache = {
    authenticatedTtl: '30s',
    staleTtl: '10m',
    redis: { url: redisUrl, sealingKeys: [{ file: 'sealing-key' }] },
  };
  const files = {
    'tokens.yaml': tokensFile({ [randomToken()]: 'ops' }),
    'ldap-ca.crt': await readFile(slapd.caFile, 'utf8'),
    'ldap-password': secret(slapd.service.password),
    'sealing-key': sealingKey(),
  };
  return await startGateway({ config: { authenticators, cache }, files });
}

/** People and robots ask, more and less in turn; a script goes on with an old password, and others send what is no token. */
async function sendTraffic(
  client: Client,
  slapd: Slapd,
  personal: string[],
  issued: string[],
): Promise<void> {
  const random = seededRandom(20);
  const anyOf = (tokens: string[]): string =>
    tokens[Math.floor(random() ** 2 * tokens.length)] ?? '';
  const old = ldapToken('farid', randomToken());
  const start = performance.now();
  let isDown = false;
  for (let part = 0; part < 1; part = (performance.now() - start) / duration) {
    const shouldBeDown = part >= outage.from && part < outage.to;
    if (shouldBeDown !== isDown) await (shouldBeDown ? slapd.stop() : slapd.start());
    isDown = shouldBeDown;
    const load = 1 + Math.sin(part * 19) * 0.6;
    if (random() < load) await review(client, anyOf(personal));
    if (random() < load * 0.7) await review(client, anyOf(issued));
    if (random() < 0.03) await review(client, old);
    if (random() < 0.06) await review(client, randomToken());
    await pause(random() * 500);
  }
}

test('the picture of the status page shows three authenticators, people, robots and no secret', async () => {
  await using slapd = await startSlapd();
  await using redis = await startRedis({ settings: { 'maxmemory-policy': 'noeviction' } });
  const personal = await addPeople(slapd);
  await using gateway = await startExample(slapd, redis.url);
  const operator = operatorIn(gateway.folder);
  const issued: string[] = [];
  for (const name of robots)
    issued.push(await operator.create('--user', name, '--group', 'robots'));
  expect((await operator.run(['block', '--user', 'corp:mallory', '--for', '8h'])).code).toBe(0);

  using client = http1Client(gateway.url);
  for (const token of [...personal, ...issued])
    expect((await review(client, token)).authenticated).toBe(true);
  await sendTraffic(client, slapd, personal, issued);
  for (const token of [personal[0] ?? '', issued[0] ?? '']) await review(client, token);

  const browser = await shareBrowser();
  await using watched = await watchedPage(browser, {
    viewport: { width: 1280, height: 960 },
    colorScheme: 'light',
  });
  const { page } = watched;
  // Only the folder of this test is another one than in the docs.
  await page.route('**/status.json', async (route) => {
    const text = await (await route.fetch()).text();
    await route.fulfill({
      body: text.replaceAll(gateway.folder, '/etc/sallyport'),
      contentType: 'application/json',
    });
  });
  await page.goto(gateway.adminUrl);
  await page.locator('h1', { hasText: /^All 3 authenticators/ }).waitFor();
  expect(await page.locator('.card h3').allTextContents()).toEqual([
    'robots',
    'corp',
    'break-glass',
  ]);
  const shown = await page.content();
  expect(shown).toContain('corp:alice');
  expect(shown).toContain('robot:ci');
  for (const hidden of [...secretsInUse(), gateway.folder]) expect(shown).not.toContain(hidden);
  expect(watched.complaints).toEqual([]);
  const picture = await page.screenshot();
  expect(picture.length).toBeLessThan(maxPictureSize);
  await writeFile(join(rootFolder, 'docs/status-page.png'), picture);
});
