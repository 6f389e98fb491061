import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { readCode, readReason } from '../failure.ts';
import { quietly, replaceFile } from '../files.ts';
import type { Target } from '../target.ts';
import { parseObject } from '../text.ts';
import { rightsProblem } from './folder.ts';

/** A session is cached like this. There is no password in it. */
export interface SavedSession {
  readonly url: string;
  readonly cluster: string;
  /** The name that was typed, or that a context names. Otherwise it is `user`. */
  readonly username: string;
  /** What SALLYPORT_USERNAME proposed, or an empty text, when the user chose an account in the browser. No one typed `username` then. */
  readonly proposal?: string | undefined;
  /** The name that Kubernetes sees. */
  readonly user: string;
  readonly token: string;
  /** The end by the clock of this machine, in milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Bytes of a file. */
const maxSize = 64 * 1024;

const layout = 1;

/** Windows has no such flag, and links there need rights that others do not have. */
const noLinks = constants.O_NOFOLLOW ?? 0;

/**
 * Reads a cached session.
 *
 * @param warn gets why a file is not used, and how to fix that
 * @returns the session, and when its token was given to kubectl the last time, in milliseconds since 1970; undefined when there is
 *   none that may be used
 */
export function readSession(
  file: string,
  target: Target,
  warn: (reason: string, fix?: string) => void,
) {
  try {
    const { text, usedAt } = readOwn(file);
    const session = parseSession(text);
    if (session?.url === target.url && session.cluster === target.cluster)
      return { session, usedAt };
    warn(`${file} is damaged: it is not used, and is replaced at the next login`);
  } catch (error) {
    if (readCode(error) !== 'ENOENT')
      warn(`can't read ${file}, so it is not used: ${readReason(error)}`, 'delete it');
  }
  return;
}

/**
 * Reads the sessions of a login server in the cache folder, the most recently used first. A file
 * that can't be used is left out.
 */
export function readSavedSessions(folder: string, url: string) {
  const sessions: {
    readonly file: string;
    readonly session: SavedSession;
    readonly usedAt: number;
  }[] = [];
  quietly(() => {
    for (const name of readdirSync(folder).filter((fileName) => fileName.endsWith('.json'))) {
      const file = join(folder, name);
      quietly(() => {
        const { text, usedAt } = readOwn(file);
        const session = parseSession(text);
        if (session?.url === url) sessions.push({ file, session, usedAt });
      });
    }
  });
  return sessions.sort((a, b) => b.usedAt - a.usedAt);
}

/** Reads a file of this user. @throws Error when it can't be read, or when others may have written or read it */
function readOwn(file: string) {
  const descriptor = openSync(file, constants.O_RDONLY | noLinks);
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw new Error('it is not a file');
    if (stat.size > maxSize) throw new Error('it is too large');
    const problem = rightsProblem(stat, 0o077, 'can be read or written by other users');
    if (problem !== undefined) throw new Error(`it ${problem}`);
    return { text: readFileSync(descriptor, 'utf8'), usedAt: stat.mtimeMs };
  } finally {
    closeSync(descriptor);
  }
}

/** Reads what `writeSession` has written. @returns undefined for any other text */
export function parseSession(text: string): SavedSession | undefined {
  const { version, url, cluster, username, user, token, expiresAt, proposal } =
    parseObject(text) ?? {};
  const texts = [url, cluster, username, user, token].every(
    (text) => typeof text === 'string' && text !== '',
  );
  // `Date` can write no later time.
  const isTime = typeof expiresAt === 'number' && Math.abs(expiresAt) <= 8.64e15;
  const isProposal = proposal === undefined || typeof proposal === 'string';
  if (version !== layout || !texts || !isTime || !isProposal) return;
  return { url, cluster, username, proposal, user, token, expiresAt } as SavedSession;
}

/** Writes a session so that others read the old one or the new one. @throws Error of Node */
export function writeSession(
  file: string,
  { url, cluster, username, proposal, user, token, expiresAt }: SavedSession,
): void {
  replaceFile(
    file,
    `${JSON.stringify({ version: layout, url, cluster, username, proposal, user, token, expiresAt })}\n`,
  );
}

/** Notes that the token was given to kubectl now. A file that is gone does not come back by it. */
export function noteUse(file: string, now: number): void {
  quietly(() => utimesSync(file, now / 1000, now / 1000));
}
