import { execFile } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { shareBrowser, watchedPage } from '@sallyport/test/browser';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { nameOutput } from './layout.ts';
import { buildSite } from './site.ts';
import { serveFiles } from './testing/static-server.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const packageFolder = join(root, 'site');

describe('the site of these pages, in Chromium', () => {
  const out = fileURLToPath(new URL('../dist/', import.meta.url));
  let server: Awaited<ReturnType<typeof serveFiles>>;
  beforeAll(async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['src/build.ts'], {
      cwd: packageFolder,
    });
    expect(stdout).toMatch(/^\d+ pages are in .*\/site\/dist\/: open .*index\.html\n$/);
    server = await serveFiles(out);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await (await shareBrowser()).close();
  });

  test('the sidebar leads to every page, which complains of nothing and calls no other host', async () => {
    const index = readFileSync(join(root, 'docs/README.md'), 'utf8');
    const linked = [...index.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) =>
      nameOutput(posix.join('docs', link)),
    );
    await using watched = await watchedPage(await shareBrowser(), {});
    const { page, complaints, requested } = watched;
    await page.goto(`${server.origin}/`);
    const links = await page
      .locator('nav a')
      .evaluateAll((all) => all.map((link) => (link as HTMLAnchorElement).href));
    expect(links).toEqual(['docs/index.html', ...linked].map((path) => `${server.origin}/${path}`));
    for (const link of links) {
      await page.goto(link);
      const current = page.locator('nav [aria-current=page]');
      expect(await current.evaluate((element) => (element as HTMLAnchorElement).href)).toBe(link);
      await expect
        .poll(() => page.locator('.picture:not(.drawn)').count(), { message: link })
        .toBe(0);
    }
    expect(complaints).toEqual([]);
    expect(requested.filter((url) => !/^(?:data:|http:\/\/127\.0\.0\.1:)/.test(url))).toEqual([]);
  });

  test.each([
    {
      words: "circuit opened: at least half of this authenticator's recent calls failed",
      found: '/docs/log-messages.html#backends',
      heading: 'Backends',
    },
    {
      words: 'login.secondFactor.required',
      found: '/docs/configuration.html#loginsecondfactorrequired',
      heading: 'login.secondFactor.required',
    },
  ])('search finds $words', async ({ words, found, heading }) => {
    await using watched = await watchedPage(await shareBrowser(), {});
    const { page, complaints } = watched;
    await page.goto(`${server.origin}/docs/install/`);
    await page.keyboard.press('/');
    await page.locator('#search:focus').fill(words);
    await page.locator('#results a').first().waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL(`**${found}`);
    await page.locator('main :target', { hasText: heading }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('the button changes between light and dark, and the next page keeps it', async () => {
    await using watched = await watchedPage(await shareBrowser(), { colorScheme: 'dark' });
    const { page } = watched;
    const readGround = () =>
      page.locator('body').evaluate((body) => getComputedStyle(body).backgroundColor);
    await page.goto(`${server.origin}/`);
    const dark = await readGround();
    await page.locator('#theme').click();
    const light = await readGround();
    await page.locator('nav a').first().click();
    expect(dark).not.toBe(light);
    expect(await readGround()).toBe(light);
  });

  test('each link of each page leads to a file of the site, and to a heading in it', () => {
    const files = globSync('**/*.html', { cwd: out });
    const htmls = new Map(files.map((file) => [file, readFileSync(join(out, file), 'utf8')]));
    const broken = [...htmls].flatMap(([file, html]) =>
      [...html.matchAll(/ (?:href|src)="([^"]*)"/g)].flatMap(([, link = '']) => {
        if (/^(?:https?|data|mailto):/.test(link)) return [];
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? file : posix.join(posix.dirname(file), path);
        const leads =
          anchor === undefined
            ? existsSync(join(out, target))
            : htmls.get(target)?.includes(` id="${anchor}"`);
        return leads ? [] : `${file}: ${link}`;
      }),
    );
    expect(files.length).toBeGreaterThan(100);
    expect(broken).toEqual([]);
  });

  test('each page shows the version', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'apps/gateway/package.json'), 'utf8'));
    expect(readFileSync(join(out, 'docs/login.html'), 'utf8')).toContain(`>${version}<`);
  });
});

/** Builds a site of a small repository. @returns its folder */
function buildFrom(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-site-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const common = {
    'apps/gateway/package.json': '{ "version": "1.2.3" }',
    'docs/README.md': '# Pages\n\n## Use\n\n- [A page](page.md)\n',
  };
  for (const [name, text] of Object.entries({ ...common, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const out = join(folder, 'out');
  buildSite(folder, out);
  return out;
}

test('links that lead nowhere fail the build, with their lines', () => {
  const page = '# Page\n\n[file](no.md)\n\n[heading](#no), [script](../x.sh#no)\n\n![](no.png)\n';
  expect(() => buildFrom({ 'docs/page.md': page, 'x.sh': 'ls\n' })).toThrow(
    [
      'docs/page.md:3: no.md does not exist',
      'docs/page.md:7: no.png does not exist',
      'docs/page.md:5: #no: docs/page.md has no such heading',
      'docs/page.md:5: ../x.sh#no: x.sh has no such heading',
    ].join('\n'),
  );
  expect(() => buildFrom({})).toThrow('docs/README.md:5: page.md does not exist');
});

test('Markdown becomes what it is on GitHub', () => {
  const out = buildFrom({
    'docs/page.md': [
      '# `a.b` & c',
      '## Twice',
      '## Twice',
      '<!-- generated -->',
      '<script>alert(1)</script>',
      '`{{ x }}` {{ x }} <b>',
      '> [!WARNING]\n> Take care.',
      '[script](../.x/y.sh), [folder](../.x), [anchor](#twice-1), [web](https://example.com)',
    ].join('\n\n'),
    '.x/y.sh': 'echo "<hi>"\n',
  });
  const main = /<main>\n(.*)\n<\/main>/s.exec(
    readFileSync(join(out, 'docs/page.html'), 'utf8'),
  )?.[1];
  expect(main?.replaceAll(/<a class="anchor".*?<\/a>/g, '')).toMatchInlineSnapshot(`
    "<h1 id="ab--c"><code>a.b</code> &amp; c</h1>
    <h2 id="twice">Twice</h2>
    <h2 id="twice-1">Twice</h2>
    &lt;script&gt;alert(1)&lt;/script&gt;
    <p><code>{{ x }}</code> {{ x }} &lt;b&gt;</p>
    <blockquote class="note warning">
    <p><strong>Warning:</strong> Take care.</p>
    </blockquote>
    <p><a href="../x/y.sh.html">script</a>, <a href="../x.html">folder</a>, <a href="page.html#twice-1">anchor</a>, <a href="https://example.com">web</a></p>
    "
  `);
  expect(readFileSync(join(out, 'x/y.sh.html'), 'utf8')).toContain('echo &quot;&lt;hi&gt;&quot;');
});
