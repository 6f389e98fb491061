import { expect, test } from 'vitest';
import { folderWithProbe, problemsOf, yaml } from './testing/config-folder.ts';

const config = (entry: string) => yaml({ more: `check: { acknowledge: [${entry}] }` });

test('an acknowledged warning has a reason, and words where others have its name', async () => {
  await using folder = await folderWithProbe();
  const entry = '{ warning: backend, about: corp, reason: only administrators write mail }';
  const { acknowledgements } = await folder.load(config(entry));
  expect(acknowledgements).toEqual([
    {
      warning: 'backend',
      about: 'corp',
      reason: 'only administrators write mail',
      problem: expect.any(Function),
    },
  ]);
});

test.each([
  {
    entry: '{ warning: shared-name, reason: a }',
    expected:
      /acknowledge\[0\]\.warning: "shared-name" is not one of its \d+ values: did you mean shared-names\?$/,
  },
  {
    entry: '{ warning: shared-names }',
    expected: /acknowledge\[0\]\.reason: is missing: add reason: "both are one directory"$/,
  },
  {
    entry: '{ warning: plugin, reason: a }',
    expected:
      /acknowledge\[0\]\.about: is missing: different warnings have the name plugin: write words/,
  },
  {
    entry: '{ warning: clock, reason: a }',
    expected:
      /acknowledge\[0\]\.warning: clock can't be acknowledged: do what check says about it$/,
  },
])('$entry is an error', async ({ entry, expected }) => {
  expect(await problemsOf(config(entry))).toEqual([expect.stringMatching(expected)]);
});
