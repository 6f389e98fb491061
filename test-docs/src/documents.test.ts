import { existsSync, globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readPictures } from '@sallyport/scripts/folder-order';
import { codeBlocksOf } from '@sallyport/test/documents';
import { rootFolder } from '@sallyport/test/pnpm';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { changelogs, find, pages, readPage, withoutCodeBlocks } from './testing/pages.ts';

/** Makes the anchors of headings as GitHub and GitLab make them. */
function anchorsOf(markdown: string): string[] {
  const headings = [...withoutCodeBlocks(markdown).matchAll(/^#+ (.*)$/gm)].map(
    ([, heading = '']) => heading,
  );
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

async function brokenLinksOf(page: string): Promise<string[]> {
  const targets = [...withoutCodeBlocks(await readPage(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(
    ([, target = '']) => target,
  );
  const broken: string[] = [];
  for (const target of targets.filter((one) => !/^[a-z]+:/.test(one))) {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    const exists = existsSync(join(rootFolder, file));
    if (!exists || (anchor !== undefined && !anchorsOf(await readPage(file)).includes(anchor)))
      broken.push(target);
  }
  return broken;
}

test.each([...pages, ...changelogs])('the links of %s lead somewhere', async (page) => {
  expect(await brokenLinksOf(page)).toEqual([]);
});

test.each(['docs/contributing/architecture.md', 'docs/contributing/decisions.md'])(
  'the source files that %s names exist',
  async (page) => {
    const sources = find('**/*.{ts,js}').map((file) => `/${file}`);
    const named = [...(await readPage(page)).matchAll(/`([\w./-]+\.(?:ts|js))`/g)].map(
      ([, file = '']) => file,
    );
    expect(named.filter((file) => !sources.some((source) => source.endsWith(`/${file}`)))).toEqual(
      [],
    );
  },
);

test.each(pages)('the YAML and the JSON of %s can be parsed', async (page) => {
  const blocks = codeBlocksOf(await readPage(page));
  const problems = blocks.flatMap(({ language, text }) => {
    if (language === 'json') JSON.parse(text);
    return language === 'yaml'
      ? parseAllDocuments(text).flatMap(({ errors }) => errors.map(String))
      : [];
  });
  expect(problems).toEqual([]);
});

test('the pictures of the architecture name only folders and files that exist', async () => {
  const page = await readPage('docs/contributing/architecture.md');
  const named = readPictures(page).flatMap(({ source, rows }) =>
    rows.flat().map((name) => `${source}/${name.replace('*.ts', '')}`),
  );
  expect(named.filter((path) => !existsSync(join(rootFolder, path)))).toEqual([]);
});

test('deploy/kubernetes/README.md and the chart say from which Kubernetes on they work', async () => {
  const chart = parse(await readPage('deploy/helm/sallyport/Chart.yaml'));
  const [, version] = /^>=([\d.]+)\.0-0$/.exec(chart.kubeVersion) ?? [];
  const readme = await readPage('deploy/kubernetes/README.md');
  expect(/for Kubernetes ([\d.]+) or later/.exec(readme)?.[1]).toBe(version);
});

test('each changeset concerns packages that are published', async () => {
  const manifests = await Promise.all(
    find('{apps,packages}/*/package.json').map(async (file) => JSON.parse(await readPage(file))),
  );
  const published = manifests.filter((manifest) => !manifest.private).map(({ name }) => name);
  // Files that begin with a dot are no pages.
  const changesets = globSync('.changeset/*.md', { cwd: rootFolder });
  const wrong: string[] = [];
  for (const changeset of changesets.filter((path) => !path.endsWith('/README.md'))) {
    const [, head = ''] = /^---\n(.*?)^---\n/ms.exec(await readPage(changeset)) ?? [];
    const unknown = Object.keys(parse(head) ?? {}).filter((name) => !published.includes(name));
    wrong.push(...unknown.map((name) => `${changeset}: ${name}`));
  }
  expect(wrong).toEqual([]);
});

test('docs/install/README.md names each package', async () => {
  const page = await readPage('docs/install/README.md');
  const names = find('packages/*/package.json').map(
    (manifest) => dirname(manifest).split('/').at(-1) ?? '',
  );
  const isNamed = (name: string) =>
    [`\`@sallyport/${name}\``, `\`${name}\``, `\`${name.replace('authenticator', '')}\``].some(
      (text) => page.includes(text),
    );
  expect(names.length).toBeGreaterThan(8);
  expect(names.filter((name) => !isNamed(name))).toEqual([]);
});

describe('the pages for users', () => {
  const read = [
    ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'],
    ...find('docs/**/*.md'),
    ...find('{apps,packages,deploy,deploy/helm}/*/README.md'),
  ];
  const wordsIn = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;

  const forContributors = [
    'CONTRIBUTING.md',
    ...find('docs/contributing/**/*.md'),
    ...find('packages/{authenticator,create-authenticator,plugin-kit,redis-connection}/README.md'),
  ];
  const forOperators = [...read, 'packages/authenticator-ldap/RULES.md'].filter(
    (page) => !forContributors.includes(page),
  );

  test('fit into a README of 100 lines', async () => {
    expect((await readPage('README.md')).trimEnd().split('\n').length).toBeLessThanOrEqual(100);
  });

  // Each bound is what its pages contain, rounded up, and falls when a page becomes shorter. Before you raise a bound, remove what another page, `--help` or a message already says.
  test.each([
    { readers: 'operators', counted: forOperators, bound: 57_750 },
    { readers: 'contributors and plugin authors', counted: forContributors, bound: 12_050 },
  ])('for $readers contain at most $bound words', async ({ counted, bound }) => {
    const texts = await Promise.all(counted.map(readPage));
    expect(wordsIn(texts.join('\n'))).toBeLessThanOrEqual(bound);
  });

  test.each(read)(
    '%s: a cell has at most 25 words, unless its table is generated',
    async (page) => {
      const text = withoutCodeBlocks(await readPage(page)).replaceAll(
        /^<!-- generated -->$.*?^<!-- end of generated -->$/gms,
        '',
      );
      const cells = [...text.matchAll(/^ *\|.*\|$/gm)].flatMap(([row]) => row.split(/(?<!\\)\|/));
      // A link counts by its text, not by its target.
      const shown = cells.map((cell) => cell.replaceAll(/\]\([^)]*\)/g, ']').trim());
      expect(shown.filter((cell) => wordsIn(cell) > 25)).toEqual([]);
    },
  );

  const ofTime = 'docs/how-long-access-lasts.md';
  /** A duration in a sentence about the cache of kube-apiserver. */
  const statesTime = (sentence: string): boolean =>
    /kube-apiserver|API server/i.test(sentence) &&
    /\bcache/i.test(sentence) &&
    /\b(?:(?:\d+[ms])+|(?:two|ten|some) (?:more )?(?:minutes?|seconds?))\b/i.test(sentence);

  test(`only ${ofTime} says for how long kube-apiserver caches`, async () => {
    const found: string[] = [];
    for (const page of read) {
      // A sentence ends at its full stop, or with its paragraph, its list item or its row of a table. A colon ends none.
      const sentences = withoutCodeBlocks(await readPage(page)).split(
        /(?<=[.!?]\)?)\s|\n\s*\n|\n(?= *(?:[-*|]|\d+\.) )/,
      );
      const stating = sentences.filter(statesTime).map((sentence) => `${page}: ${sentence.trim()}`);
      if (page === ofTime) expect(stating).not.toEqual([]);
      else found.push(...stating);
    }
    expect(found).toEqual([]);
  });
});
