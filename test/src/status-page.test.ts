import { randomBytes } from 'node:crypto';
import { startRedis } from '@sallyport/test-servers/redis';
import { randomToken, secret, sha256 } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { statusDocument } from './status-document.ts';
import {
  keepPicture,
  overhang,
  setTextSize,
  shareBrowser,
  smallTargets,
  untilDrawn,
  type WatchedPage,
  watchedPage,
} from './testing/browser.ts';
import { get, http1Client, review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { createMutualTls } from './testing/mutual-tls.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';

const laptop = { width: 1280, height: 800 };
const phone = { width: 390, height: 844 };
/** The looks of the page. Problems of colours do not depend on the device. */
const looks = [
  { device: 'laptop', viewport: laptop, colorScheme: 'light' },
  { device: 'phone', viewport: phone, colorScheme: 'dark' },
] as const;

let browser: Browser;
let backend: ScriptedBackend;

beforeAll(async () => {
  [browser, backend] = await Promise.all([shareBrowser(), startScriptedBackend()]);
});

/** Waits until an element has these words. The page is refreshed every 2 s. */
async function untilSays(page: Page, selector: string, words: string | RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: words }).first().waitFor();
}

/** Reads the labels that a first row has on a phone, where no headings are shown. */
function readLabels(page: Page): Promise<string[]> {
  return page
    .locator('#recent tr')
    .first()
    .locator('.c-who, .c-by, .c-from')
    .evaluateAll((cells) => cells.map((cell) => getComputedStyle(cell, '::before').content));
}

/** Expects that nothing is hidden at the right, that there are no warnings, and no requests to other servers. */
async function expectQuiet(
  { page, complaints, requested }: WatchedPage,
  url: string,
): Promise<void> {
  expect(await overhang(page)).toBe(0);
  expect(complaints).toEqual([]);
  expect(new Set(requested.map((one) => new URL(one).origin))).toEqual(
    new Set([new URL(url).origin]),
  );
}

/** Checks the page on each device, where it must be quiet. */
async function keepLooks(
  url: string,
  name: string,
  prepare = async (_: Page): Promise<unknown> => undefined,
): Promise<void> {
  await using watched = await watchedPage(browser, {});
  const { page } = watched;
  await prepare(page);
  for (const { device, viewport, colorScheme } of looks) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme });
    await page.goto(url);
    await page.locator('.card .readout').first().waitFor({ state: 'attached' });
    await untilDrawn(page);
    await keepPicture(page, `${name}-${device}-${colorScheme}`);
    await expectQuiet(watched, url);
  }
}

/** Counts the pixels of a card's plot that have a colour of the style sheet. */
function painted(page: Page, card: number, colour: string): Promise<number> {
  return page
    .locator('.card')
    .nth(card)
    .locator('canvas')
    .first()
    .evaluate((element, name) => {
      const canvas = element as HTMLCanvasElement;
      const wanted = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
      const [red, green, blue] = [1, 3, 5].map((at) =>
        Number.parseInt(wanted.slice(at, at + 2), 16),
      );
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {
        willReadFrequently: true,
      });
      copy?.drawImage(canvas, 0, 0);
      const pixels = copy?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      let found = 0;
      for (let at = 0; at < pixels.length; at += 4) {
        if (pixels[at] === red && pixels[at + 1] === green && pixels[at + 2] === blue) found++;
      }
      return found;
    }, colour);
}

const quickly = { authenticatedTtl: '50ms', rejectedTtl: '50ms', staleTtl: '1h' };
const config = (more: object = {}): Record<string, unknown> => ({
  authenticators: [
    backend.authenticator('break-glass', {}, { recognizes: 'glass-' }),
    backend.authenticator('corp', {
      username: { prefix: 'corp:' },
      cache: { store: 'shared', ...quickly },
      circuit: { minimumCalls: 3, openFor: '1h' },
    }),
    backend.authenticator('robots'),
  ],
  ...more,
});

test('on a page that is open all the while people log in, a backend goes down, a config is refused, a user is blocked', async () => {
  await using redis = await startRedis();
  const env = { SALLYPORT_CACHE_KEY: secret(randomBytes(32).toString('base64')) };
  const { files, tls, client: certificate } = await createMutualTls();
  const cache = {
    redis: { url: redis.url, timeout: '2s', sealingKeys: [{ env: 'SALLYPORT_CACHE_KEY' }] },
  };
  const good = config({ server: { tls }, cache });
  await using gateway = await startGateway({ config: good, files, env });
  using client = http1Client(gateway.url, certificate);
  const { adminUrl } = gateway;

  await using watched = await watchedPage(browser, { viewport: laptop, colorScheme: 'light' });
  const { page } = watched;
  await page.goto(adminUrl);
  await untilSays(page, 'h1', /^All 3 authenticators are healthy$/);
  expect(await page.locator('.card h3').allTextContents()).toEqual([
    'break-glass',
    'corp',
    'robots',
  ]);
  expect(await page.locator('.card .word').allTextContents()).toEqual([
    'Healthy',
    'Healthy',
    'Healthy',
  ]);
  expect(await page.locator('.card .from').allTextContents()).toEqual(
    Array(3).fill('No reviews yet'),
  );
  await untilSays(page, '#recent-note', 'no reviews yet');
  // The certificates of the tests last a day.
  await untilSays(page, '#facts', /server expires in 2\dh, /);
  await untilSays(page, '#notices strong', /^The server certificate expires in 2\dh$/);
  await untilSays(page, '#facts', 'Blockednone');
  expect(await painted(page, 1, '--authenticated')).toBe(0);
  await keepLooks(adminUrl, 'empty');

  // A name that would be markup, with a character that no one sees, and one that would turn the line around.
  const [ada, mallory, unknown] = [randomToken(), randomToken(), randomToken()];
  backend.answer(ada, authenticated('<img src="//evil.example/x">\u200bada'), 'corp');
  const subject = 'mallory\u202e';
  backend.answer(mallory, { kind: 'rejected', reason: 'invalid-credentials', subject }, 'corp');
  expect((await review(client, ada)).authenticated).toBe(true);
  expect((await review(client, mallory)).authenticated).toBe(false);
  expect((await review(client, unknown)).authenticated).toBe(false);
  await untilSays(page, '#recent-note', 'the last 3, newest first');
  const rows = page.locator('#recent tr');
  expect(await rows.locator('.c-outcome').allTextContents()).toEqual([
    'unknown',
    'rejectedinvalid-credentials',
    'authenticated',
  ]);
  expect(await rows.nth(2).locator('.c-who').textContent()).toBe(
    String.raw`corp:<img src="//evil.example/x">\u{200b}ada`,
  );
  expect(await rows.nth(1).locator('.c-who').textContent()).toBe(String.raw`mallory\u{202e}`);
  expect(await page.locator('.card').nth(1).locator('dd').allTextContents()).toEqual([
    '1',
    '0',
    '1',
    '1',
    '0',
  ]);
  expect(await page.locator('.card').nth(0).locator('dd').allTextContents()).toEqual([
    '0',
    '0',
    '0',
    '0',
    '0',
  ]);
  expect(await painted(page, 1, '--authenticated')).toBeGreaterThan(0);
  expect(await painted(page, 0, '--authenticated')).toBe(0);

  backend.answer(
    ada,
    { kind: 'throw', code: 'unavailable', message: 'connect ECONNREFUSED' },
    'corp',
  );
  const newToken = randomToken();
  backend.answer(
    newToken,
    { kind: 'throw', code: 'unavailable', message: 'connect ECONNREFUSED' },
    'corp',
  );
  await waitFor(async () => {
    await review(client, ada);
    await review(client, newToken);
    return gateway.output.lines.some(({ circuit }) => circuit === 'open');
  }, 'the circuit to open');
  await untilSays(
    page,
    'h1',
    /^corp is unavailable: circuit open, [1-9]\d* answers? from cache so far$/,
  );
  await untilSays(page, '.card[data-level="bad"] h3', 'corp');
  await untilSays(page, '.card[data-level="bad"] .word', 'Circuit open');
  await untilSays(page, '.card[data-level="bad"] .why', 'connect ECONNREFUSED');
  const plot = page.locator('.card').nth(1).getByRole('img').first();
  expect(await plot.getAttribute('aria-label')).toMatch(
    /: 1 authenticated, [1-9]\d* stale, .* [1-9]\d* error$/,
  );
  expect(await painted(page, 1, '--error')).toBeGreaterThan(0);
  await untilSays(page, '#recent .c-from', 'stale');

  const digest = await page.locator('#facts code').first().textContent();
  await gateway.write('gateway.yaml', 'authenticators: []\n');
  gateway.signal('SIGHUP');
  await untilSays(page, '#notices strong', 'The config on disk was refused');
  await untilSays(page, '#notices p', /gateway\.yaml:1:\d+: authenticators: /);
  await untilSays(page, '#facts', 'the file on disk was refused');
  expect(await page.locator('#facts code').first().textContent()).toBe(digest);
  await keepLooks(adminUrl, 'outage');

  await gateway.configure(good);
  gateway.signal('SIGHUP');
  await untilSays(page, 'h1', /^All 3 authenticators are healthy$/);
  await page.locator('#notices li', { hasText: 'refused' }).waitFor({ state: 'detached' });
  const block = [
    'block',
    '--user',
    'corp:mallory',
    '--for',
    '1h',
    '--config',
    `${gateway.folder}/gateway.yaml`,
  ];
  expect((await runCommand(block, { cwd: gateway.folder, env })).code).toBe(0);
  await untilSays(page, '#facts', '1 user, group or token');
  await expectQuiet(watched, adminUrl);
  const shown = (await page.content()) + (await get(adminUrl, '/status.json')).text;
  for (const token of [ada, mallory, unknown, newToken]) {
    expect(shown).not.toContain(token);
    expect(shown).not.toContain(sha256(token));
  }
});

test('says that logins fail before the circuit opens, what the words mean, and that its gateway has ended', async () => {
  const authenticators = [backend.authenticator('corp'), backend.authenticator('robots')];
  await using gateway = await startGateway({ config: config({ authenticators }) });
  await using watched = await watchedPage(browser, { viewport: laptop });
  const { page } = watched;
  await page.goto(gateway.adminUrl);
  await untilSays(page, 'h1', /^Both authenticators are healthy$/);
  const token = randomToken();
  backend.answer(
    token,
    { kind: 'throw', code: 'unavailable', message: 'dc1: connection refused\ndc2: timeout' },
    'corp',
  );
  using client = http1Client(gateway.url);
  for (let logins = 0; logins < 2; logins++)
    expect((await review(client, token)).error).toContain('unavailable');
  await untilSays(page, 'h1', /^corp is unavailable: its last reviews failed$/);
  await untilSays(page, '.card[data-level="bad"] .word', 'Reviews fail');
  const why = page.locator('.card[data-level="bad"] .why');
  expect(await why.textContent()).toMatch(/: dc1: connection refused\ndc2: timeout$/);
  expect(await why.evaluate((shown) => getComputedStyle(shown).whiteSpace)).toContain('pre-line');
  backend.answer(token, authenticated('ada'), 'corp');
  expect((await review(client, token)).authenticated).toBe(true);
  await untilSays(page, 'h1', /^Both authenticators are healthy$/);

  await page.getByText('What the words mean').click();
  await keepPicture(page, 'legend');
  const words = await page.locator('.legend dt').allTextContents();
  const shown = await page.locator('.card').first().locator('dt').allTextContents();
  expect(words).toEqual(expect.arrayContaining(shown));
  const docs = new URL((await page.locator('.legend a').getAttribute('href')) ?? '', page.url());
  expect((await get(gateway.adminUrl, docs.pathname)).text).toContain('## The status page');

  await gateway.stop();
  await untilSays(page, 'h1', 'The gateway does not answer this page');
  await untilSays(page, '#overview-text', /What you see is from \d\d:\d\d:\d\d\. Trying again\.$/);
});

describe('with a quarter of an hour behind it', () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startGateway({ config: config() });
  });
  afterAll(() => gateway.stop());

  const long = 'a-name-as-long-as-a-name-may-be-that-somebody-found-to-be-helpful';
  const twenty = Array.from({ length: 20 }, (_, index) =>
    index === 7 ? long : `directory-${index + 1}`,
  );
  const recent = [
    { id: 'one', at: Date.now(), outcome: 'authenticated', username: 'x'.repeat(256), seconds: 1 },
  ];
  test.each([
    { name: 'one', names: ['corp'], down: [], more: { recent } },
    { name: 'twenty', names: twenty, down: ['directory-3', long], more: {} },
  ])(
    '$name fit on a laptop and on a phone, also a name of one run of 256 characters',
    async ({ name, names, down, more }) => {
      const json = statusDocument(names, down, more);
      await keepLooks(gateway.adminUrl, name, (page) =>
        page.route('**/status.json', (route) => route.fulfill({ json })),
      );
    },
  );

  test('it is read by roles: the list in its order, the table on a phone too', async () => {
    const json = statusDocument(['break-glass', 'corp'], []);
    for (const viewport of [laptop, phone]) {
      await using watched = await watchedPage(browser, { viewport });
      await watched.page.route('**/status.json', (route) => route.fulfill({ json }));
      await watched.page.goto(gateway.adminUrl);
      const { page } = watched;
      await page
        .getByRole('heading', { level: 1, name: 'Both authenticators are healthy' })
        .waitFor();
      const cards = page
        .getByRole('list')
        .filter({ has: page.locator('.card') })
        .getByRole('listitem');
      expect(await cards.getByRole('heading').allTextContents()).toEqual(['break-glass', 'corp']);
      expect(
        await page.getByRole('table', { name: 'Recent decisions' }).getByRole('row').count(),
      ).toBe(51);
      expect(await page.getByRole('columnheader').allTextContents()).toContain('Authenticator');
      expect(await readLabels(page)).toEqual(
        viewport === phone ? ['"user "', '"by "', '"from "'] : ['none', 'none', 'none'],
      );
      expect(await page.getByRole('status').textContent()).toBe('Both authenticators are healthy');
    }
  });

  test('the line above a plot is whole on screens of all widths, and with large text', async () => {
    const json = statusDocument(['break-glass', 'corp'], ['corp']);
    await using watched = await watchedPage(browser, {});
    const { page } = watched;
    await page.route('**/status.json', (route) => route.fulfill({ json }));
    await page.goto(gateway.adminUrl);
    await untilSays(page, '.readout', /^backend [\d.]+ms, slowest [\d.]+m?s$/);
    for (const [width, textSize] of [
      ...[320, 720, 890, 900, 1100, 1200, 1263, 1280].map((width) => [width, 100] as const),
      [320, 200],
    ] as const) {
      await page.setViewportSize({ ...laptop, width });
      await setTextSize(page, textSize);
      const cut = await page.locator('.readout, figcaption').evaluateAll((lines) =>
        lines
          .filter((line) => {
            return line.scrollWidth > line.clientWidth || line.scrollHeight > line.clientHeight;
          })
          .map(({ textContent }) => textContent),
      );
      expect([width, textSize, cut, await overhang(page), await smallTargets(page)]).toEqual([
        ...[width, textSize, [], 0, []],
      ]);
    }
  });

  test('an authenticator names its directory, and says that it waits for it', async () => {
    const waiting = { name: 'corp', healthy: false, reason: 'no answer within 2s' };
    const json = statusDocument(['oidc', 'corp'], ['corp'], {}, { oidc: waiting });
    await using watched = await watchedPage(browser, { viewport: phone });
    const { page } = watched;
    await page.route('**/status.json', (route) => route.fulfill({ json }));
    await page.goto(gateway.adminUrl);
    const card = page.locator('.card').first();
    await card.waitFor();
    expect(await card.getByText('users looked up in corp').isVisible()).toBe(true);
    expect(await card.locator('.state').textContent()).toBe('Waits for corp');
    expect(await card.locator('.why').textContent()).toBe('no answer within 2s');
    await expectQuiet(watched, gateway.adminUrl);
    expect(await page.locator('.joined').allTextContents()).toEqual([
      'users looked up in corp',
      '',
    ]);
  });

  test('the facts say how many logins were refused and not answered', async () => {
    const login = {
      ...{ publicUrl: 'https://login.example.com', inFlight: 1, maxInFlight: 50 },
      ...{ loggedIn: 12, refused: 3, unanswered: 2, loggedOut: 1, sessionsRefused: 0 },
    };
    const json = statusDocument(['corp'], [], { login });
    await using watched = await watchedPage(browser, { viewport: laptop });
    const { page } = watched;
    await page.route('**/status.json', (route) => route.fulfill({ json }));
    await page.goto(gateway.adminUrl);
    await untilSays(page, '#facts', '12 since the start; 3 refused, 2 not answered');
    await untilSays(page, '#facts', '1 session logged out, 0 refused because of their user');
    await untilSays(page, '#facts', 'https://login.example.com: 1 of at most 50 in progress');
  });

  test('a step beneath the pointer is shown in words, in all plots together', async () => {
    const json = statusDocument(['break-glass', 'corp'], ['corp']);
    await using watched = await watchedPage(browser, { viewport: laptop });
    const { page } = watched;
    await page.route('**/status.json', (route) => route.fulfill({ json }));
    await page.goto(gateway.adminUrl);
    await untilSays(page, '.readout', /^peak \d+$/);
    await page.locator('.plot').nth(2).hover();
    await untilSays(page, '.card:nth-child(1) .readout', /^\d\d:\d\d:\d\d: \d+ authenticated/);
    await untilSays(
      page,
      '.card:nth-child(2) .readout',
      /^\d\d:\d\d:\d\d: backend [\d.]+ms, slowest [\d.]+ms$/,
    );
    await expectQuiet(watched, gateway.adminUrl);
  });

  test('nothing moves when it looks again', async () => {
    await using watched = await watchedPage(browser, { viewport: laptop });
    const { page } = watched;
    const { adminUrl } = gateway;
    const shifts = (): Promise<number> =>
      page.evaluate(() => Reflect.get(window, 'shifted') as number);
    await page.addInitScript(() => {
      Reflect.set(window, 'shifted', 0);
      // The text of the first look needs a place.
      document.addEventListener('DOMContentLoaded', () => {
        const note = (list: PerformanceObserverEntryList) =>
          Reflect.set(window, 'shifted', Reflect.get(window, 'shifted') + list.getEntries().length);
        Reflect.set(window, 'watch', () =>
          new PerformanceObserver(note).observe({ type: 'layout-shift' }),
        );
      });
    });
    await page.goto(adminUrl);
    await page.locator('.card .readout').first().waitFor({ state: 'attached' });
    await page.evaluate(() => (Reflect.get(window, 'watch') as () => void)());
    for (const _ of [1, 2]) await page.waitForResponse('**/status.json');
    expect(await shifts()).toBe(0);
  });

  test('without JavaScript it says what to do instead', async () => {
    await using watched = await watchedPage(browser, { viewport: phone, javaScriptEnabled: false });
    await watched.page.goto(gateway.adminUrl);
    await untilSays(watched.page, 'noscript, .noscript', 'sallyport check');
    expect(await watched.page.locator('.noscript a').allTextContents()).toEqual([
      '/readyz?verbose',
      '/metrics',
    ]);
    await expectQuiet(watched, gateway.adminUrl);
  });
});

test('off loopback there is no page, until the config says so; and none for a Host that is a name', async () => {
  const listen = '0.0.0.0:0';
  await using gateway = await startGateway({ config: config({ admin: { listen } }) });
  const status = async (path: string, headers = {}): Promise<number> =>
    (await get(gateway.adminUrl, path, headers)).status;
  const paths = ['/', '/status.json', '/status/main.js'];
  for (const path of paths) expect([path, await status(path)]).toEqual([path, 404]);
  await gateway.configure(config({ admin: { listen, statusPage: true } }));
  await gateway.reload();
  for (const path of paths) {
    expect([path, await status(path)]).toEqual([path, 200]);
    expect([path, await status(path, { host: 'evil.example.com' })]).toEqual([path, 403]);
  }
  expect(await status('/livez', { host: 'gateway.example.com' })).toBe(200);
});
