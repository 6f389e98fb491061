import sonicBoom from 'sonic-boom';
import { within } from '../../base/deadlines.ts';
import { asError } from '../../base/logging/error-fields.ts';
import type { AuditOutput } from './output.ts';

interface LineWriterOptions {
  /** Maximum number of bytes that may wait. */
  readonly capacity: number;
  /** It is called when a write failed, which is retried. It is not called for an output that is only slow. */
  readonly onError: (error: Error) => void;
  /** It is called when all is written. */
  readonly onEmpty: () => void;
}

/**
 * The milliseconds until the next attempt to write to a full pipe, and to an output that failed: a full disk rarely has
 * space sooner.
 */
const slowDelay = 10;
const errorDelay = 1_000;

/** The milliseconds for which a slow output may delay a change to another one. */
const changeLimit = 1_000;

/** Writes line after line, by sonic-boom, to one output at a time. Each line is whole in one output. */
export function createLineWriter({ capacity, onError, onEmpty }: LineWriterOptions) {
  let current: ReturnType<typeof openStream> | undefined;
  let next: AuditOutput | undefined;
  let nextAt = 0;
  let emptied = Promise.withResolvers<void>();

  function change(output: AuditOutput): void {
    const lines = current?.end() ?? [];
    next = undefined;
    current = openStream(output, { onLineEnd, onEmpty: becameEmpty, onError: failed });
    for (const line of lines) current.write(line);
  }

  function onLineEnd(): void {
    if (next === undefined) return;
    change(next);
    if (current?.size() === 0) becameEmpty();
  }

  function becameEmpty(): void {
    emptied.resolve();
    emptied = Promise.withResolvers();
    onEmpty();
  }

  function failed(error: Error, isSlow: boolean): void {
    if (!isSlow) onError(error);
    if (next !== undefined && (!isSlow || performance.now() > nextAt)) change(next);
  }

  return {
    /** Takes a line, with its end, to be written as soon as possible. @returns false when there is no capacity for it */
    offer(line: string): boolean {
      const bytes = Buffer.from(line);
      if (current === undefined || current.size() + bytes.length > capacity) return false;
      current.write(bytes);
      return true;
    },
    /**
     * Uses another output, even for the lines that wait. The output before it gets the rest of a line that is written
     * in part, and is closed. If it does not take that, the new one gets the line.
     */
    use(output: AuditOutput): void {
      next?.close();
      [next, nextAt] = [output, performance.now() + changeLimit];
      if (current === undefined || current.size() === 0) change(output);
      else current.retry();
    },
    /** Waits until all is written, at most `limit` milliseconds. @returns how many lines still wait, and are given up */
    async end(limit: number): Promise<number> {
      if (current !== undefined && current.size() > 0) {
        current.retry();
        await within({ limit }, () => emptied.promise).catch(() => undefined);
      }
      next?.close();
      next = undefined;
      const lost = current?.lines() ?? 0;
      current?.abandon();
      current = undefined;
      return lost;
    },
  };
}

/** A stream of sonic-boom that writes bytes: its types know only strings. */
type ByteStream = Omit<InstanceType<typeof sonicBoom.SonicBoom>, 'write'> & {
  write(bytes: Uint8Array): boolean;
};

interface StreamEvents {
  /** It is called when the last line that was begun is whole, and no write is running. */
  onLineEnd(): void;
  onEmpty(): void;
  onError(error: Error, isSlow: boolean): void;
}

function openStream(
  { fd, maxWrite, endsTorn }: AuditOutput,
  { onLineEnd, onEmpty, onError }: StreamEvents,
) {
  // Its own retry comes after 100 ms, and a pipe takes 64 KiB at a time: that would be 640 KiB/s at most.
  const settings = { fd, maxWrite, contentMode: 'buffer', retryEAGAIN: () => false } as const;
  const stream = new sonicBoom.SonicBoom(settings) as unknown as ByteStream;
  const queue: Buffer[] = [];
  /** The bytes that wait. */
  let size = 0;
  /**
   * The bytes of the first waiting line that are written. It is below 0 until the line end after a torn line is
   * written.
   */
  let writtenBytes = 0;
  let timer: NodeJS.Timeout | undefined;
  const batch = createBatch(maxWrite, (bytes) => stream.write(bytes));
  const stop = () => {
    clearTimeout(timer);
    return stream.removeAllListeners().on('error', () => stream.destroy());
  };

  stream.on('write', (count: number) => {
    size -= count;
    writtenBytes = dropWritten(queue, writtenBytes + count);
    if (writtenBytes === 0) onLineEnd();
  });
  stream.on('drain', onEmpty);
  stream.on('error', (error: unknown) => {
    const isSlow = (error as NodeJS.ErrnoException).code === 'EAGAIN';
    clearTimeout(timer);
    timer = setTimeout(() => stream.flush(), isSlow ? slowDelay : errorDelay);
    onError(asError(error), isSlow);
  });
  if (endsTorn) {
    [size, writtenBytes] = [1, -1];
    stream.write(Buffer.from('\n'));
  }

  return {
    write(line: Buffer): void {
      queue.push(line);
      size += line.length;
      batch.add(line);
    },
    /** Retries immediately what has failed. */
    retry(): void {
      batch.pass();
      stream.flush();
    },
    lines: () => queue.length,
    size: () => size,
    /** Closes it, between two writes. @returns the lines that are not written, from the line that is written in part */
    end(): readonly Buffer[] {
      batch.drop();
      stop().destroy();
      return queue;
    },
    /**
     * Closes it after one more attempt: a running write must end before the next file that is opened gets its
     * descriptor.
     */
    abandon(): void {
      batch.pass();
      stop().end();
    },
  };
}

/** Drops the lines that are written. @returns how many bytes of the next one are */
function dropWritten(queue: Buffer[], writtenBytes: number): number {
  let remaining = writtenBytes;
  let ended = 0;
  for (const { length } of queue) {
    if (length > remaining) break;
    remaining -= length;
    ended += 1;
  }
  queue.splice(0, ended);
  return remaining;
}

/**
 * Collects the lines of one turn: sonic-boom would write the first of them alone, which takes as long as all others
 * together.
 *
 * @param write gets whole lines: at most `maxWrite` bytes of them, or one that is longer
 */
function createBatch(maxWrite: number, write: (bytes: Buffer) => void) {
  let lines: Buffer[] = [];
  let size = 0;
  const drop = () => {
    [lines, size] = [[], 0];
  };
  const pass = () => {
    const [line, ...laterLines] = lines;
    drop();
    if (line !== undefined)
      write(laterLines.length > 0 ? Buffer.concat([line, ...laterLines]) : line);
  };
  return {
    add(line: Buffer): void {
      if (size + line.length > maxWrite) pass();
      if (lines.length === 0) queueMicrotask(pass);
      lines.push(line);
      size += line.length;
    },
    /** Writes what was added immediately, and not at the end of the turn. */
    pass,
    drop,
  };
}
