import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, test } from 'vitest';
import { changesIn, pendingChanges, releaseNotes } from './notes.ts';

/** A CHANGELOG.md as changesets writes it. */
const changelog = `# @sallyport/gateway

## 0.2.0

### Minor Changes

- 0123abc: A new command, \`sallyport init\`.

  It makes certificates.

### Patch Changes

- fedc321: Errors are clearer.
- Updated dependencies [0123abc]
  - @sallyport/authenticator@0.2.0

## 0.1.0

### Minor Changes

- 1111111: The first one.
`;

test('the changes of a version are those in its section, without updates of dependencies', () => {
  expect(changesIn(changelog, '0.2.0', 'a')).toEqual([
    {
      text: 'A new command, `sallyport init`.\n\nIt makes certificates.',
      bump: 'minor',
      packages: ['a'],
    },
    { text: 'Errors are clearer.', bump: 'patch', packages: ['a'] },
  ]);
  expect(changesIn(changelog, '0.1.0', 'a').map(({ text }) => text)).toEqual(['The first one.']);
  expect(changesIn(changelog, '0.1', 'a')).toEqual([]);
});

test('the notes have a change once, with all its packages and its greatest bump, what breaks first', () => {
  const notes = releaseNotes('0.2.0', [
    { text: 'Better.\n\nMuch.', bump: 'patch', packages: ['b'] },
    { text: 'Broken.', bump: 'major', packages: ['b'] },
    { text: 'Better.\n\nMuch.', bump: 'minor', packages: ['a'] },
  ]);
  expect(notes).toBe(`# Sallyport 0.2.0

## What breaks

- Broken.

  \`b\`

## What is new

- Better.
  
  Much.

  \`a\`, \`b\`
`);
});

test('pending changes are the changesets of the folder that concern a package', async () => {
  await using folder = await temporaryFolder('changesets');
  const own = join(folder.path, '.changeset');
  await mkdir(own);
  await writeFile(join(own, 'README.md'), '# Changesets\n');
  await writeFile(
    join(own, 'one.md'),
    '---\n"a": patch\n"b": minor\n---\n\nFirst line,\nsecond line.\n',
  );
  await writeFile(join(own, 'none.md'), '---\n---\n\nNothing for users.\n');
  expect(await pendingChanges(own)).toEqual([
    { text: 'First line,\nsecond line.', bump: 'minor', packages: ['a', 'b'] },
  ]);
});
