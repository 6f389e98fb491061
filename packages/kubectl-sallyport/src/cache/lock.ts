import { randomUUID } from 'node:crypto';
import { rmSync, statSync, utimesSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { readCode } from '../failure.ts';
import { createFile, quietly, readIfThere, replaceFile } from '../files.ts';
import { parseObject } from '../text.ts';

/** Intervals are in milliseconds. */
const defaults = {
  /** The owner renews its lock this often, which shows that it lives. */
  renewInterval: 2_000,
  /** A process that waits looks at the lock this often. */
  pollInterval: 100,
  /**
   * An owner that has not renewed its lock in this many looks is gone. No clocks are compared, and
   * a machine that slept loses no lock.
   */
  maxPolls: 100,
};

/**
 * Takes the lock, and waits for the process that has it. A lock whose owner is gone is taken over.
 *
 * @param onWait is called once, before it waits, with what the other process has written
 * @returns `waited`: another process had it before and released it, rather than ended without that
 * @throws Error of Node when the file can't be made
 */
export async function acquireLock(
  file: string,
  onWait: (owner: string) => void = () => {},
  options = defaults,
) {
  const content = `${JSON.stringify({ pid: process.pid, host: hostname(), id: randomUUID() })}\n`;
  let lastState = '';
  let polls = 0;
  let waited = false;
  while (!createFile(file, content)) {
    const now = readIfThere(file);
    const modified = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    // It was released between the two looks.
    if (now === undefined || modified === undefined) continue;
    const state = `${modified} ${now}`;
    polls = state === lastState ? polls + 1 : 1;
    lastState = state;
    if (isGone(now) || polls > options.maxPolls) {
      waited = false;
      replaceFile(file, content);
      // If several take it over at the same time, the last one has it.
      await delay(options.pollInterval);
      if (readIfThere(file) === content) break;
      continue;
    }
    if (!waited) onWait(now);
    waited = true;
    await delay(options.pollInterval);
  }
  return keepLock(file, content, waited, options.renewInterval);
}

/**
 * Says whether the owner was a process of this machine that has ended. An owner on another machine
 * is gone when it renews nothing.
 */
function isGone(content: string): boolean {
  // Text that is not JSON is not written completely yet, or never will be: then it is not renewed.
  const owner = parseObject(content);
  if (owner?.host !== hostname() || typeof owner.pid !== 'number') return false;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return readCode(error) === 'ESRCH';
  }
}

/** Renews a lock until it is released. If it can't be renewed or removed, it becomes stale, and is taken over. */
function keepLock(file: string, content: string, waited: boolean, renewInterval: number) {
  const isOurs = () => readIfThere(file) === content;
  const renew = () => isOurs() && utimesSync(file, new Date(), new Date());
  const timer = setInterval(quietly, renewInterval, renew).unref();
  const release = () => {
    clearInterval(timer);
    process.off('exit', release);
    quietly(() => isOurs() && rmSync(file, { force: true }));
  };
  process.on('exit', release);
  return { waited, [Symbol.dispose]: release };
}
