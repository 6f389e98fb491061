import { closeSync, constants, fstatSync, openSync, readFileSync, rmSync, type Stats, utimesSync } from 'node:fs';
import { codeOf, reasonOf } from '../failure.ts';
import { isObject } from '../json.ts';
import { replaceFile } from '../replace-file.ts';
import type { Target } from '../target.ts';

/** A session, as it is cached. There is no password in it. */
export interface Session {
  readonly url: string;
  readonly cluster: string;
  /** The name that was typed. */
  readonly username: string;
  /** The name that Kubernetes sees. */
  readonly user: string;
  readonly token: string;
  /** By the clock of this machine, in milliseconds since 1970. */
  readonly expiresAt: number;
}

/** What a file has. */
export interface CachedSession {
  readonly session: Session;
  /** When its token was given to kubectl the last time, in milliseconds since 1970. */
  readonly usedAt: number;
}

const longest = 64 * 1024;

const layout = 1;

/** Windows has no such flag, and links there need rights that others do not have. */
const noLinks = constants.O_NOFOLLOW ?? 0;

/**
 * Reads a cached session.
 *
 * @param warn gets why a file is not used
 * @returns undefined when there is none that may be used
 */
export function readSession(file: string, target: Target, warn: (why: string) => void): CachedSession | undefined {
  try {
    const descriptor = openSync(file, constants.O_RDONLY | noLinks);
    try {
      return readOpened(descriptor, file, target, warn);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') warn(`cannot read ${file}: ${reasonOf(error)}. It is not used. Delete it`);
    return;
  }
}

function readOpened(
  descriptor: number,
  file: string,
  target: Target,
  warn: (why: string) => void,
): CachedSession | undefined {
  const stat = fstatSync(descriptor);
  const problem = problemOf(stat);
  if (problem !== undefined) {
    warn(`${file} ${problem}: it is not used. Delete it`);
    return;
  }
  const session = parseSession(readFileSync(descriptor, 'utf8'));
  if (session?.url !== target.url || session.cluster !== target.cluster) {
    warn(`${file} is damaged: it is not used, and is replaced at the next login`);
    return;
  }
  return { session, usedAt: stat.mtimeMs };
}

/** Node can't read the rights of a file on Windows. */
function problemOf(stat: Stats): string | undefined {
  if (!stat.isFile()) return 'is no file';
  if (stat.size > longest) return 'is too large';
  if (process.getuid === undefined) return;
  if (stat.uid !== process.getuid()) return 'belongs to another user';
  return (stat.mode & 0o077) === 0 ? undefined : 'can be read or written by other users';
}

/** @returns undefined when the text is nothing that `writeSession` has written */
export function parseSession(text: string): Session | undefined {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return;
  }
  if (!isObject(record) || record.version !== layout) return;
  const { url, cluster, username, user, token, expiresAt } = record;
  const texts = [url, cluster, username, user, token].every((one) => typeof one === 'string' && one !== '');
  if (!texts || typeof expiresAt !== 'number' || !isTime(expiresAt)) return;
  return { url, cluster, username, user, token, expiresAt } as Session;
}

/** What `Date` can write. */
function isTime(milliseconds: number): boolean {
  return Math.abs(milliseconds) <= 8.64e15;
}

/** Writes a session so that others read the old one or the new one. @throws Error of Node */
export function writeSession(file: string, session: Session): void {
  const { url, cluster, username, user, token, expiresAt } = session;
  replaceFile(file, `${JSON.stringify({ version: layout, url, cluster, username, user, token, expiresAt })}\n`);
}

/** Notes that the token was given to kubectl now. A file that is gone does not come back by it. */
export function noteUse(file: string, now: number): void {
  try {
    utimesSync(file, now / 1000, now / 1000);
  } catch {
    // A read-only file system: the next run just asks the server less often.
  }
}

/** @throws Error of Node, except when it is gone already */
export function removeSession(file: string): void {
  rmSync(file, { force: true });
}
