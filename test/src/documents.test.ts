import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { readDocument } from './testing/deployed.ts';
import { codeBlocksOf, find, withoutCodeBlocks } from './testing/documents.ts';
import { rootFolder } from './testing/pnpm.ts';

const pages = find('**/*.md').filter((page) => !page.startsWith('.') && !page.endsWith('CHANGELOG.md'));
/** The anchors of its headings, as GitHub and GitLab make them. */
function anchorsOf(markdown: string): string[] {
  const headings = [...withoutCodeBlocks(markdown).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

async function brokenLinksOf(page: string): Promise<string[]> {
  const targets = [...withoutCodeBlocks(await readDocument(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(
    ([, target = '']) => target,
  );
  const broken: string[] = [];
  for (const target of targets.filter((one) => !/^[a-z]+:/.test(one))) {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    const exists = existsSync(join(rootFolder, file));
    if (!exists || (anchor !== undefined && !anchorsOf(await readDocument(file)).includes(anchor))) broken.push(target);
  }
  return broken;
}

test.each(pages)('the links of %s lead somewhere', async (page) => {
  expect(await brokenLinksOf(page)).toEqual([]);
});

test.each(['docs/architecture.md', 'docs/decisions.md', 'docs/limits.md'])(
  'the source files that %s names exist',
  async (page) => {
    const sources = find('**/*.{ts,js}').map((file) => `/${file}`);
    const named = [...(await readDocument(page)).matchAll(/`([\w./-]+\.(?:ts|js))`/g)].map(([, file = '']) => file);
    expect(named.filter((file) => !sources.some((source) => source.endsWith(`/${file}`)))).toEqual([]);
  },
);

test.each(pages)('the YAML and the JSON of %s can be parsed', async (page) => {
  const blocks = codeBlocksOf(await readDocument(page));
  const problems = blocks.flatMap(({ language, text }) => {
    if (language === 'json') JSON.parse(text);
    return language === 'yaml' ? parseAllDocuments(text).flatMap(({ errors }) => errors.map(String)) : [];
  });
  expect(problems).toEqual([]);
});
