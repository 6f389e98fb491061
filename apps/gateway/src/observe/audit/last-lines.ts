import { constants, type FileHandle, open } from 'node:fs/promises';
import { FixableError } from '../../config/problems.ts';
import { mebibyte } from '../../config/read-text.ts';
import type { AuditConfig } from '../../config/types.ts';

type Line = Readonly<Record<string, unknown>>;

interface Search {
  /** A text that each matching line contains, as the trail has it. Lines without it are not parsed. */
  readonly text: string;
  readonly matches: (line: Line) => boolean;
  readonly count: number;
}

/**
 * Maximum number of bytes of all files together. They take two seconds at most, and a busy gateway writes as many in some
 * minutes.
 */
const maxBytes = 256 * mebibyte;

/**
 * Finds the last lines of the trail that match: in its file and, where that has too few, in the one before it (`audit.log.1`).
 *
 * @param limit bytes
 * @returns the newest first. `isPartial` says that they are fewer than `count`, and that earlier lines were not read
 * @throws Error that says why the trail can't be read
 */
export async function findLastLines(
  { output }: AuditConfig,
  search: Search,
  limit: number = maxBytes,
) {
  if (output === 'stdout')
    throw new FixableError('audit.output is stdout', 'look where the standard output is stored');
  const { file } = output;
  const lines: Line[] = [];
  let remainingLimit = limit;
  for (const name of [file, `${file}.1`]) {
    try {
      await using handle = await open(name, constants.O_RDONLY | constants.O_NONBLOCK);
      const stats = await handle.stat();
      if (!stats.isFile()) throw new Error('it is not a regular file');
      const remaining = await readBackwards(handle, stats.size, search, lines, remainingLimit);
      if (lines.length === search.count) break;
      if (remaining > 0) return { lines, isPartial: true };
      remainingLimit -= stats.size;
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      // Without rotation, or before it, there is no earlier file.
      if (name !== file) return { lines, isPartial: code !== 'ENOENT' };
      const [reason, fix] = wordings[code] ?? [code || message];
      throw new FixableError(`audit.output: can't read ${name}: ${reason}`, fix);
    }
  }
  return { lines, isPartial: false };
}

const wordings: Readonly<Record<string, readonly [why: string, fix?: string]>> = {
  ENOENT: ['there is no such file here', 'run this where the gateway runs'],
  EACCES: ['permission denied', 'run this as the user that runs the gateway'],
};

/**
 * Reads a file from its end.
 *
 * @param lines gets what is found
 * @returns how many bytes were not read, since they were not needed, or over the limit
 */
async function readBackwards(
  handle: FileHandle,
  size: number,
  search: Search,
  lines: Line[],
  limit: number,
) {
  const text = Buffer.from(search.text);
  const minEnd = Math.max(0, size - limit);
  let end = size;
  // It is the end of a line whose beginning is not read yet.
  let lineEnd = Buffer.alloc(0);
  while (end > minEnd && lines.length < search.count) {
    const length = Math.min(end - minEnd, mebibyte);
    end -= length;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, end);
    const bytes = Buffer.concat([buffer.subarray(0, bytesRead), lineEnd]);
    // A part without a line end is the inside of a very long line.
    const start = end === 0 ? 0 : bytes.indexOf(0x0a) + 1 || bytes.length;
    lineEnd = bytes.subarray(0, start);
    if (bytes.includes(text, start)) take(bytes.toString('utf8', start), search, lines);
  }
  return end;
}

function take(chunk: string, { text, matches, count }: Search, lines: Line[]): void {
  for (const line of chunk.split('\n').reverse()) {
    if (lines.length === count) return;
    const parsed = line.includes(text) ? parseLine(line) : undefined;
    if (parsed !== undefined && matches(parsed)) lines.push(parsed);
  }
}

/** Parses a line. @returns undefined for a line that was cut off */
function parseLine(line: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Line) : undefined;
  } catch {
    return undefined;
  }
}
