import { onTestFinished, test, vi } from 'vitest';
import { stopTimers } from '../connection/testing/stopped-timers.ts';
import { memoryDirectory } from '../directory/testing/memory-directory.ts';
import { userOptions } from '../options/testing/ldap-options.ts';
import { createDecoys } from './bind-user.ts';

test('one user who is refused slowly, again and again, counts as one of those who were refused', async () => {
  stopTimers();
  const random = vi.spyOn(Math, 'random').mockReturnValue(0.5);
  onTestFinished(() => random.mockRestore());
  const decoys = createDecoys(memoryDirectory(), { user: userOptions(), serverTimeout: 1000 });
  for (let guess = 0; guess < 64; guess++) decoys.noteRefusal('uid=mallory', 900);
  decoys.noteRefusal('uid=alice', 0);
  // With mallory's time the decoy would wait for a timer that never ends.
  await decoys.bind({ signal: new AbortController().signal });
});
