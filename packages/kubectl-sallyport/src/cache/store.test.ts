import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, test } from 'vitest';
import { createPromptLimit } from './store.ts';

const minute = 60_000;

test('after three prompts without a login in 15 minutes there is no fourth', async () => {
  await using folder = await temporaryFolder('prompts');
  let now = Date.UTC(2026, 0);
  // Each process has its own limit.
  const limit = () => createPromptLimit(join(folder.path, 'x.prompts'), () => now);
  for (let prompt = 0; prompt < 3; prompt++) {
    expect(limit().allows()).toBe(true);
    limit().begin();
    now += minute;
  }
  expect(limit().allows()).toBe(false);
  now += 11 * minute;
  expect(limit().allows()).toBe(false);
  now += minute;
  expect(limit().allows()).toBe(true);
  limit().begin();
  expect(limit().allows()).toBe(false);
  limit().takeBack();
  expect(limit().allows()).toBe(true);
  limit().begin();
  expect(limit().allows()).toBe(false);
  limit().succeeded();
  expect(limit().allows()).toBe(true);
});

test.each([
  '',
  '{',
  '[]',
  '{"failed":"x"}',
  '{"failed":[null,"x",{}]}',
  '{"failed":[9e15,9e15,9e15]}',
])('a file with %j limits nothing, and is replaced', async (text) => {
  await using folder = await temporaryFolder('prompts');
  const file = join(folder.path, 'x.prompts');
  await writeFile(file, text);
  const limit = createPromptLimit(file);
  expect(limit.allows()).toBe(true);
  for (let prompt = 0; prompt < 3; prompt++) limit.begin();
  expect(limit.allows()).toBe(false);
});

test('a folder that is missing limits nothing', () => {
  const limit = createPromptLimit('/nonexistent/x.prompts');
  for (let prompt = 0; prompt < 3; prompt++) limit.begin();
  limit.succeeded();
  expect(limit.allows()).toBe(true);
});
