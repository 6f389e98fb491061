import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { compareWithAdvisories, listShipped, readTools } from './advisories.ts';

const root = join(import.meta.dirname, '../..');

const version = (text: string) => ({ specifier: text, version: text });

test('what users run is what apps and packages depend on or bundle, with all that it needs', () => {
  const lockfile = {
    importers: {
      '.': { devDependencies: { biome: version('1.0.0') } },
      test: { dependencies: { playwright: version('1.0.0') } },
      'apps/gateway': {
        dependencies: { '@sallyport/x': { version: 'link:../../packages/x' } },
        devDependencies: { koa: version('3.0.0'), vitest: version('5.0.0') },
      },
      'packages/x': { dependencies: { '@scope/redis': version('6.0.0(ms@2.0.0)') } },
    },
    snapshots: {
      'koa@3.0.0': { dependencies: { ms: '2.0.0' }, optionalDependencies: { fast: '1.0.0' } },
      '@scope/redis@6.0.0(ms@2.0.0)': { dependencies: { ms: '2.1.0' } },
      'ms@2.0.0': { dependencies: { ms2: '1.0.0' } },
      'ms@2.1.0': {},
      'ms2@1.0.0': { dependencies: { ms: '2.0.0' } },
      'fast@1.0.0': {},
    },
  };
  expect(listShipped(lockfile, (name) => name === 'vitest')).toEqual({
    '@scope/redis': ['6.0.0'],
    fast: ['1.0.0'],
    koa: ['3.0.0'],
    ms: ['2.0.0', '2.1.0'],
    ms2: ['1.0.0'],
  });
  const cut = { ...lockfile, snapshots: {} };
  expect(() => listShipped(cut, () => false)).toThrow('has no snapshot of koa@3.0.0');
});

test('of this repository, koa and ioredis are listed, and no tool is', async () => {
  const isTool = readTools(JSON.parse(await readFile(join(root, 'renovate.json'), 'utf8')));
  const lockfile = parse(await readFile(join(root, 'pnpm-lock.yaml'), 'utf8'));
  const names = Object.keys(listShipped(lockfile, isTool));
  expect(names).toEqual(expect.arrayContaining(['koa', 'ioredis', 'denque', 'jose', 'pkijs']));
  expect(
    names.filter((name) => /^(vitest|tsdown|vite|rolldown|@types\/|oidc-prov)/.test(name)),
  ).toEqual([]);
  expect(() => readTools({ packageRules: [] })).toThrow('no group tools');
});

const packages = { koa: ['3.0.0'], ms: ['2.0.0', '2.1.0'] };

test('a known advisory is reported with the version, its severity, and where to read more', async () => {
  const advisory = {
    severity: 'high',
    title: 'Host header',
    vulnerable_versions: '<3.0.1',
    url: 'https://github.com/advisories/GHSA-x',
  };
  let sent: object | undefined;
  const report = await compareWithAdvisories(packages, async (body) => {
    sent = body;
    return Response.json({ koa: [advisory] });
  });
  expect(sent).toEqual(packages);
  expect(report).toEqual({
    isChecked: true,
    hasAdvisories: true,
    text: '2 packages checked, 1 advisories\nkoa 3.0.0: high: Host header (<3.0.1) https://github.com/advisories/GHSA-x',
  });
});

test('without advisories, the count of packages says what was checked', async () => {
  expect(await compareWithAdvisories(packages, async () => Response.json({}))).toEqual({
    isChecked: true,
    hasAdvisories: false,
    text: '2 packages checked, 0 advisories',
  });
});

test.each([
  { why: 'it answered 405', ask: async () => new Response('', { status: 405 }) },
  { why: 'fetch failed', ask: () => Promise.reject(new TypeError('fetch failed')) },
  { why: 'is not an object', ask: async () => Response.json([]) },
  { why: 'JSON', ask: async () => new Response('<html>') },
])('no answer ($why) is neither a success nor an advisory', async ({ why, ask }) => {
  const report = await compareWithAdvisories(packages, ask);
  expect(report).toMatchObject({ isChecked: false, hasAdvisories: false });
  expect(report.text).toMatch(/^not checked: the registry's advisories can't be read \(.*\)$/);
  expect(report.text).toContain(why);
});
