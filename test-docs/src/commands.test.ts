import { type CodeBlock, codeBlocksOf, isCommands } from '@sallyport/test/documents';
import { describe, expect, test } from 'vitest';
import { namedTestIn, problemOf, withMovedTests } from './testing/named-tests.ts';
import { find, readPage } from './testing/pages.ts';
import { expectWritten } from './testing/written.ts';

const list = 'test/commands.md';
const text = await readPage(list);

/** The pages whose commands are listed. */
const documented = [
  ...['README.md', 'docs/login.md', 'docs/login-api.md', 'docs/tutorial.md'],
  ...find('docs/install/*.md'),
  ...find('packages/authenticator-*/README.md'),
];
const rows = [...text.matchAll(/^\| (\S+\.md) \| `(.+?)` \| (.+) \|$/gm)].map(
  ([, page = '', beginning = '', how = '']) => ({ page, beginning, how }),
);
const run = rows
  .filter(({ how }) => !/^Not run: \S/.test(how))
  .map((row) => ({ ...row, test: namedTestIn(row.how) }));

describe('the commands of the pages', () => {
  test.each(documented)(
    '%s: each block is run by a test, or has the reason why it is not',
    async (page) => {
      const blocks = codeBlocksOf(await readPage(page)).filter(isCommands);
      const own = rows.filter((row) => row.page === page);
      const rowsOf = ({ text: commands }: CodeBlock) =>
        own.filter(({ beginning }) => commands.startsWith(beginning));
      expect(
        blocks.filter((block) => rowsOf(block).length !== 1).map(({ text: commands }) => commands),
      ).toEqual([]);
      expect(own.filter((row) => !blocks.some((block) => rowsOf(block)[0] === row))).toEqual([]);
    },
  );

  test('each test that is named exists; to follow tests that moved: WRITE=1', async () => {
    const named = run.flatMap((row) => row.test ?? []);
    if (process.env.WRITE === '1') await expectWritten(list, text, withMovedTests(text, named));
    else expect(named.flatMap((one) => problemOf(one) ?? [])).toEqual([]);
  });

  test('each test that is named takes them from the page', async () => {
    const wrong: string[] = [];
    for (const { page, beginning, test: named } of run) {
      const source = named === undefined ? '' : await readPage(named.file);
      if (!source.includes(page)) wrong.push(`${page} ${beginning}`);
    }
    expect(rows.filter((row) => !documented.includes(row.page))).toEqual([]);
    expect(wrong).toEqual([]);
  });
});
