import { randomUUID } from 'node:crypto';
import { rmSync, statSync, utimesSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '../failure.ts';
import { createFile, quietly, readIfThere, replaceFile } from '../files.ts';
import { parseObject } from '../text.ts';

const usual = {
  /** How often the owner shows that it lives, in milliseconds. */
  beat: 2_000,
  /** How often one who waits looks, in milliseconds. */
  look: 100,
  /** An owner that has shown nothing in so many looks is gone. No clocks are compared, and a machine that slept loses no lock. */
  looks: 100,
};

/**
 * Takes the lock, and waits for the one who has it. A lock whose owner is gone is taken over.
 *
 * @param onWait is called once, before it waits
 * @returns `waited`: another process held it before and gave it back, rather than ended without that
 * @throws Error of Node when the file can't be made
 */
export async function acquireLock(file: string, onWait: () => void = () => {}, times = usual) {
  const content = `${JSON.stringify({ pid: process.pid, host: hostname(), id: randomUUID() })}\n`;
  let seen = '';
  let looks = 0;
  let waited = false;
  while (!createFile(file, content)) {
    const now = readIfThere(file);
    const modified = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    // It was given back between the two looks.
    if (now === undefined || modified === undefined) continue;
    const sighting = `${modified} ${now}`;
    looks = sighting === seen ? looks + 1 : 1;
    seen = sighting;
    if (isGone(now) || looks > times.looks) {
      waited = false;
      replaceFile(file, content);
      // Of several that take it over at once, the last one has it.
      await delay(times.look);
      if (readIfThere(file) === content) break;
      continue;
    }
    if (!waited) onWait();
    waited = true;
    await delay(times.look);
  }
  return held(file, content, waited, times.beat);
}

/** Says whether the owner was a process of this machine that has ended. Of other machines only their silence tells. */
function isGone(content: string): boolean {
  // What is no JSON is not written completely yet, or never will be: that shows in time.
  const owner = parseObject(content);
  if (owner?.host !== hostname() || typeof owner.pid !== 'number') return false;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === 'ESRCH';
  }
}

/** A lock that can't be renewed or removed becomes stale, and is taken over. */
function held(file: string, content: string, waited: boolean, beat: number) {
  const isOurs = () => readIfThere(file) === content;
  const show = () => isOurs() && utimesSync(file, new Date(), new Date());
  const heart = setInterval(quietly, beat, show).unref();
  const release = () => {
    clearInterval(heart);
    process.off('exit', release);
    quietly(() => isOurs() && rmSync(file, { force: true }));
  };
  process.on('exit', release);
  return { waited, [Symbol.dispose]: release };
}
