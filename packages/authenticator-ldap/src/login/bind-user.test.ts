import { afterEach, expect, test, vi } from 'vitest';
import { userOptions } from '../testing/ldap-options.ts';
import { memoryDirectory } from '../testing/memory-directory.ts';
import { createDecoys } from './bind-user.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

const { signal } = new AbortController();

async function timeOfDecoy(note: (decoys: ReturnType<typeof createDecoys>) => void): Promise<number> {
  const decoys = createDecoys(memoryDirectory({ entries: [] }), { user: userOptions(), serverTimeout: 1000 });
  note(decoys);
  const begun = performance.now();
  await decoys.bind({ signal });
  return performance.now() - begun;
}

test('a decoy takes as long as a recent refusal', async () => {
  const time = await timeOfDecoy((decoys) => decoys.noteRefusal('uid=alice', 100));
  expect(time).toBeGreaterThan(90);
});

test('one user who is refused slowly, again and again, counts as one of those who were refused', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  const time = await timeOfDecoy((decoys) => {
    for (let guess = 0; guess < 64; guess++) decoys.noteRefusal('uid=mallory', 900);
    decoys.noteRefusal('uid=alice', 0);
  });
  expect(time).toBeLessThan(900);
});
