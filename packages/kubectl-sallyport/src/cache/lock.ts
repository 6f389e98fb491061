import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '../failure.ts';
import { isObject } from '../json.ts';

/** A lock that this process holds. */
export interface Lock extends Disposable {
  /** True when another process held it before and gave it back, rather than ended without that. */
  readonly waited: boolean;
}

export interface LockTimes {
  /** How often the owner shows that it lives, in milliseconds. */
  readonly beat: number;
  /** How often one who waits looks, in milliseconds. */
  readonly look: number;
  /** An owner that has shown nothing in so many looks is gone. After a machine has slept, all have their time again. */
  readonly looks: number;
}

const usual: LockTimes = { beat: 2_000, look: 100, looks: 100 };

/** An owner, as seen by one who waits. */
interface Sighting {
  readonly content: string;
  readonly modified: number;
  /** How often it was seen as it is. Clocks of two machines are never compared. */
  readonly looks: number;
}

/**
 * Takes the lock, and waits for the one who has it. A lock whose owner is gone is taken over.
 *
 * @param onWait is called once, before it waits
 * @throws Error of Node when the file can't be made
 */
export async function acquireLock(
  file: string,
  onWait: () => void = () => {},
  times: LockTimes = usual,
): Promise<Lock> {
  const content = `${JSON.stringify({ pid: process.pid, host: hostname(), id: randomBytes(8).toString('hex') })}\n`;
  let seen: Sighting | undefined;
  let waited = false;
  while (!create(file, content)) {
    const now = look(file, seen);
    if (now === undefined) {
      // It was given back between the two looks.
      waited = seen !== undefined;
      seen = undefined;
      continue;
    }
    if (isGone(now.content) || now.looks > times.looks) {
      breakLock(file, now.content);
      seen = undefined;
      waited = false;
      continue;
    }
    if (seen === undefined) onWait();
    waited = true;
    seen = now;
    await delay(times.look);
  }
  return held(file, content, waited, times);
}

function create(file: string, content: string): boolean {
  try {
    writeFileSync(file, content, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** @returns undefined when no one has the lock */
function look(file: string, before: Sighting | undefined): Sighting | undefined {
  const [content, modified] = [readIfThere(file), modifiedIfThere(file)];
  if (content === undefined || modified === undefined) return;
  const isSame = before?.content === content && before.modified === modified;
  return { content, modified, looks: isSame ? before.looks + 1 : 1 };
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
}

function modifiedIfThere(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

/** Says whether the owner was a process of this machine that has ended. Of other machines only their silence tells. */
function isGone(content: string): boolean {
  let owner: unknown;
  try {
    owner = JSON.parse(content);
  } catch {
    // It is not written completely yet, or never will be: that shows in time.
    return false;
  }
  if (!isObject(owner) || owner.host !== hostname() || typeof owner.pid !== 'number') return false;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === 'ESRCH';
  }
}

/**
 * Removes the lock of an owner that is gone, unless another process has done so and taken it.
 *
 * @param content of the lock when its owner was found to be gone
 */
export function breakLock(file: string, content: string): void {
  const taken = `${file}.${process.pid}.${randomBytes(6).toString('hex')}`;
  try {
    renameSync(file, taken);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    if (readIfThere(taken) !== content) linkSync(taken, file);
  } catch {
    // A third one has the lock by now.
  } finally {
    rmSync(taken, { force: true });
  }
}

function held(file: string, content: string, waited: boolean, { beat }: LockTimes): Lock {
  const isOurs = () => readIfThere(file) === content;
  const heart = setInterval(() => quietly(() => isOurs() && utimesSync(file, new Date(), new Date())), beat).unref();
  const release = () => {
    clearInterval(heart);
    process.off('exit', release);
    quietly(() => isOurs() && rmSync(file, { force: true }));
  };
  process.on('exit', release);
  return { waited, [Symbol.dispose]: release };
}

/** A lock that can't be renewed or removed becomes stale, and is taken over. */
function quietly(action: () => unknown): void {
  try {
    action();
  } catch {
    // As above.
  }
}
