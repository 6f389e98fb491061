import { existsSync, globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { rootFolder } from './testing/pnpm.ts';

const exclude = (name: string): boolean => /^(node_modules|test-results|dist|\..*)$/.test(name.split('/').at(-1) ?? '');
const find = (pattern: string): string[] => globSync(pattern, { cwd: rootFolder, exclude });

const pages = find('**/*.md').filter((page) => !page.startsWith('.') && !page.endsWith('CHANGELOG.md'));
const read = (page: string): Promise<string> => readFile(join(rootFolder, page), 'utf8');

/** Without code blocks: what looks like a link or a heading there is none. */
const prose = (markdown: string): string => markdown.replaceAll(/^ *```.*?^ *```$/gms, '');

/** The anchors of its headings, as GitHub and GitLab make them. */
function anchorsOf(markdown: string): string[] {
  const headings = [...prose(markdown).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

async function brokenLinksOf(page: string): Promise<string[]> {
  const targets = [...prose(await read(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  const broken: string[] = [];
  for (const target of targets.filter((one) => !/^[a-z]+:/.test(one))) {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    const exists = existsSync(join(rootFolder, file));
    if (!exists || (anchor !== undefined && !anchorsOf(await read(file)).includes(anchor))) broken.push(target);
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
    const named = [...(await read(page)).matchAll(/`([\w./-]+\.(?:ts|js))`/g)].map(([, file = '']) => file);
    expect(named.filter((file) => !sources.some((source) => source.endsWith(`/${file}`)))).toEqual([]);
  },
);
