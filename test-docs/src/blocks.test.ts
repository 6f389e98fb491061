import { globSync } from 'node:fs';
import { type CodeBlock, codeBlocksOf } from '@sallyport/test/documents';
import { rootFolder } from '@sallyport/test/pnpm';
import { expect, test } from 'vitest';
import { readPage } from './testing/pages.ts';
import { expectWritten } from './testing/written.ts';

/** The files with the code blocks that tests of these packages run. A new file may be empty: WRITE=1 fills it. */
const copies = globSync('{deploy,test}/blocks/**/*.md', { cwd: rootFolder }).sort();

/** A block as tests need it: its commands, without what they print. */
function copyOf({ language, title, text }: CodeBlock): string {
  const commands = text.match(/^\$ .*\n/gm)?.join('') ?? '';
  const heading = title === '' ? language : `${language} ${title}`;
  return `\`\`\`${heading}\n${language === 'console' ? commands : text}\`\`\`\n`;
}

test('there are pages whose blocks are run', () => {
  expect(copies.length).toBeGreaterThan(15);
});

test.each(copies)('%s has the blocks of its page', async (copy) => {
  const page = copy.replace(/^\w+\/blocks\//, '');
  const blocks = codeBlocksOf(await readPage(page)).filter(({ language }) =>
    ['sh', 'yaml', 'ts', 'console'].includes(language),
  );
  await expectWritten(copy, await readPage(copy), blocks.map(copyOf).join('\n'));
});
