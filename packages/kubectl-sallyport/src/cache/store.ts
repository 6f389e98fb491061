import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, readCode, readReason, warn } from '../failure.ts';
import { quietly, replaceFile } from '../files.ts';
import { cacheName, type Target } from '../target.ts';
import { parseObject } from '../text.ts';
import { cacheFolder, elsewhere, prepareFolder } from './folder.ts';
import { acquireLock } from './lock.ts';
import { createMemory } from './memory.ts';
import {
  noteUse,
  readSavedSessions,
  readSession,
  type SavedSession,
  writeSession,
} from './session-file.ts';

export type CacheStore = ReturnType<typeof openCacheStore>;

/**
 * Opens what is cached for one target. If nothing can be cached, each command needs a login: the
 * user is warned, and it is not an error.
 */
export function openCacheStore(target: Target) {
  const folder = cacheFolder();
  const name = join(folder, cacheName(target));
  const file = `${name}.json`;
  const problem = prepareFolder(folder);
  // Others may have written what is in a folder with a problem.
  const memory = createMemory(problem === undefined ? `${name}.memory` : '');
  const load = () => (problem === undefined ? readSession(file, target, warn) : undefined);
  return {
    read: load,
    /** Caches a session, and remembers its user. */
    write(session: SavedSession) {
      try {
        if (problem !== undefined) throw problem;
        writeSession(file, session);
        memory.remember({ user: session.user });
      } catch (error) {
        const failure =
          error instanceof Failure ? error : new Failure(readReason(error), elsewhere);
        warn(
          `can't cache the session: ${failure.problem}. kubectl needs a login each time`,
          failure.fix,
        );
      }
    },
    /** Reads the sessions for all clusters of the same login server, the most recently used first. */
    sessionsOfServer: () => (problem === undefined ? readSavedSessions(folder, target.url) : []),
    memory,
    noteUse: () => noteUse(file, Date.now()),
    /** Removes this session. A session that another process has put in its place stays. */
    remove(session: SavedSession): void {
      if (load()?.session.token === session.token) rmSync(file, { force: true });
    },
    /** Takes the lock. It waits for others that have it, with a line for the user. */
    async lock(): ReturnType<typeof acquireLock> {
      const onWait = (owner: string) => {
        const { pid } = parseObject(owner) ?? {};
        const holder = typeof pid === 'number' ? ` (process ${pid})` : '';
        process.stderr.write(`waiting for the login of another kubectl${holder}\n`);
      };
      try {
        if (problem === undefined) return await acquireLock(`${name}.lock`, onWait);
      } catch (error) {
        if (readCode(error) === '') throw error;
      }
      // The session can't be cached either, which `write` reports.
      return { waited: false, [Symbol.dispose]: () => {} };
    },
    prompts: createPromptLimit(`${name}.prompts`),
    /** Limits the windows that kubectl opens: it runs the plugin up to five times for a request. */
    windows: createPromptLimit(`${name}.browser`, Date.now, 1),
  };
}

/** Programs in the background, such as plugins of editors, run kubectl again and again, with no one to answer. */
const maxPrompts = 3;
const promptWindow = 15 * 60_000;

/**
 * Counts prompts that kubectl caused and that led to no login: no one answered, or the password was wrong. kubectl runs the plugin
 * up to five times.
 *
 * @param file is next to the cached session. If it can't be written, `begin` says so
 */
export function createPromptLimit(
  file: string,
  now: () => number = Date.now,
  max: number = maxPrompts,
) {
  // A time in the future is from a clock that was wrong.
  const recent = () =>
    readTimes(file).filter((time) => time > now() - promptWindow && time <= now());
  const write = (failed: readonly number[]) => replaceFile(file, `${JSON.stringify({ failed })}\n`);
  return {
    /** Returns false after too many recent prompts without a login. */
    allows: () => recent().length < max,
    /**
     * Counts a prompt. It is called before each: a process that is killed at its prompt can't do it.
     *
     * @returns whether the prompt is counted now
     */
    begin(): boolean {
      let isCounted = false;
      quietly(() => {
        write([...recent(), now()]);
        isCounted = true;
      });
      return isCounted;
    },
    /** Forgets the last prompt: no one saw it. */
    takeBack: () => quietly(() => write(recent().slice(0, -1))),
    succeeded: () => quietly(() => rmSync(file, { force: true })),
  };
}

function readTimes(file: string): readonly number[] {
  try {
    const times = parseObject(readFileSync(file, 'utf8'))?.failed;
    return Array.isArray(times)
      ? times.filter((time) => typeof time === 'number').slice(-maxPrompts)
      : [];
  } catch {
    return [];
  }
}
