import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { readDocument } from './testing/deployed.ts';
import {
  type CodeBlock,
  codeBlocksOf,
  find,
  isCommands,
  withoutCodeBlocks,
} from './testing/documents.ts';
import { rootFolder } from './testing/pnpm.ts';

const pages = find('**/*.md').filter(
  (page) => !page.startsWith('.') && !page.endsWith('CHANGELOG.md'),
);
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
  const targets = [...withoutCodeBlocks(await readDocument(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(
    ([, target = '']) => target,
  );
  const broken: string[] = [];
  for (const target of targets.filter((one) => !/^[a-z]+:/.test(one))) {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    const exists = existsSync(join(rootFolder, file));
    if (!exists || (anchor !== undefined && !anchorsOf(await readDocument(file)).includes(anchor)))
      broken.push(target);
  }
  return broken;
}

test.each(pages)('the links of %s lead somewhere', async (page) => {
  expect(await brokenLinksOf(page)).toEqual([]);
});

test.each(['docs/contributing/architecture.md', 'docs/contributing/decisions.md'])(
  'the source files that %s names exist',
  async (page) => {
    const sources = find('**/*.{ts,js}').map((file) => `/${file}`);
    const named = [...(await readDocument(page)).matchAll(/`([\w./-]+\.(?:ts|js))`/g)].map(
      ([, file = '']) => file,
    );
    expect(named.filter((file) => !sources.some((source) => source.endsWith(`/${file}`)))).toEqual(
      [],
    );
  },
);

test.each(pages)('the YAML and the JSON of %s can be parsed', async (page) => {
  const blocks = codeBlocksOf(await readDocument(page));
  const problems = blocks.flatMap(({ language, text }) => {
    if (language === 'json') JSON.parse(text);
    return language === 'yaml'
      ? parseAllDocuments(text).flatMap(({ errors }) => errors.map(String))
      : [];
  });
  expect(problems).toEqual([]);
});

describe('the commands of the pages', async () => {
  const documented = [
    ...['README.md', 'docs/commands.md', 'docs/login.md', 'docs/login-api.md'],
    ...find('docs/install/*.md'),
    ...find('packages/authenticator-*/README.md'),
  ];
  const rows = [
    ...(await readDocument('test/commands.md')).matchAll(/^\| (\S+\.md) \| `(.+?)` \| (.+) \|$/gm),
  ].map(([, page = '', beginning = '', how = '']) => ({ page, beginning, how }));

  test.each(documented)(
    '%s: each block is run by a test, or has the reason why it is not',
    async (page) => {
      const blocks = codeBlocksOf(await readDocument(page)).filter(isCommands);
      const own = rows.filter((row) => row.page === page);
      const rowsOf = ({ text }: CodeBlock) =>
        own.filter(({ beginning }) => text.startsWith(beginning));
      expect(blocks.filter((block) => rowsOf(block).length !== 1).map(({ text }) => text)).toEqual(
        [],
      );
      expect(own.filter((row) => !blocks.some((block) => rowsOf(block)[0] === row))).toEqual([]);
    },
  );

  test('each test that is named takes them from the page', async () => {
    const wrong: string[] = [];
    for (const { page, beginning, how } of rows.filter((row) => !/^Not run: \S/.test(row.how))) {
      const [, file = '', title = ''] = /^\[(\S+\.test\.ts)\]\(src\/\1\) "(.+)"$/.exec(how) ?? [];
      const text = file === '' ? '' : await readDocument(`test/src/${file}`);
      if (!text.includes(`'${title}'`) || !text.includes(page)) wrong.push(`${page} ${beginning}`);
    }
    expect(rows.filter((row) => !documented.includes(row.page))).toEqual([]);
    expect(wrong).toEqual([]);
  });
});

test('docs/install/README.md names each package', async () => {
  const page = await readDocument('docs/install/README.md');
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

  // The login in a browser brought 3,900: its page, API and keys, the decisions behind it, what people and operators see of it, and
  // what a newcomer did not find: claims that the ID token lacks, and what ends a session of a provider. The second factor brought
  // 3,650: its page with the output of its commands, API and keys, the decisions behind it, and what people and operators see of
  // it: the reasons in the audit trail, and what a newcomer could not find. Memory brought 770: what a gateway takes, why, with
  // which flags, and what 256 MiB bear. The third audit brought 300: what a new Redis means, what ends a login in progress, what the client
  // refuses, and which locks end by themselves.
  test('fit into a README of 100 lines, and 69,000 words in all', async () => {
    expect((await readDocument('README.md')).trimEnd().split('\n').length).toBeLessThanOrEqual(100);
    const texts = await Promise.all(read.map(readDocument));
    expect(wordsIn(texts.join('\n'))).toBeLessThanOrEqual(69_020);
  });

  test.each(read)(
    '%s: a cell has at most 25 words, unless its table is generated',
    async (page) => {
      const text = withoutCodeBlocks(await readDocument(page)).replaceAll(
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
    /\b(?:\d+|two|ten|some) ?(?:s|m|min|more minutes|minutes?|seconds?)\b/i.test(sentence);

  test(`only ${ofTime} says for how long kube-apiserver caches`, async () => {
    const found: string[] = [];
    for (const page of read) {
      // A sentence ends at its full stop, or with its paragraph, its list item or its row of a table. A colon ends none.
      const sentences = withoutCodeBlocks(await readDocument(page)).split(
        /(?<=[.!?]\)?)\s|\n\s*\n|\n(?= *(?:[-*|]|\d+\.) )/,
      );
      const stating = sentences.filter(statesTime).map((sentence) => `${page}: ${sentence.trim()}`);
      if (page === ofTime) expect(stating).not.toEqual([]);
      else found.push(...stating);
    }
    expect(found).toEqual([]);
  });
});
