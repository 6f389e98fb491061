import { join } from 'node:path';
import { codeOf, reasonOf } from '../failure.ts';
import { nameOf, type Target } from '../target.ts';
import { prepareFolder } from './folder.ts';
import { acquireLock, type Lock } from './lock.ts';
import { createPromptLimit, type PromptLimit } from './prompt-limit.ts';
import { type CachedSession, noteUse, readSession, removeSession, type Session, writeSession } from './session-file.ts';

/** What is cached for one target. What can't be cached costs a login each time, and is no error. */
export interface Store {
  read(): CachedSession | undefined;
  write(session: Session): void;
  noteUse(): void;
  /** Removes this session; one that another process has put in its place stays. */
  remove(session: Session): void;
  /** Makes the others wait, and waits for them. @param onWait is called once, before it waits */
  lock(onWait: () => void): Promise<Lock>;
  readonly prompts: PromptLimit;
}

/** @param warn gets what the user can do something about */
export function openStore(folder: string, target: Target, warn: (text: string) => void): Store {
  const name = join(folder, nameOf(target));
  const file = `${name}.json`;
  const problem = prepareFolder(folder);
  const cannotCache = (why: string) =>
    warn(
      `cannot cache the session: ${why}. kubectl needs a login each time. To fix it, set KUBECACHEDIR to another folder`,
    );
  const read = () => (problem === undefined ? readSession(file, target, warn) : undefined);
  return {
    read,
    write(session) {
      if (problem !== undefined) return cannotCache(problem);
      try {
        writeSession(file, session);
      } catch (error) {
        cannotCache(reasonOf(error));
      }
    },
    noteUse: () => noteUse(file, Date.now()),
    remove(session) {
      if (read()?.session.token === session.token) removeSession(file);
    },
    async lock(onWait) {
      try {
        if (problem === undefined) return await acquireLock(`${name}.lock`, onWait);
      } catch (error) {
        if (codeOf(error) === '') throw error;
      }
      // Nothing can be cached either, which is reported then.
      return { waited: false, [Symbol.dispose]: () => {} };
    },
    prompts: createPromptLimit(`${name}.prompts`),
  };
}
