import sonicBoom from 'sonic-boom';
import { asError } from '../logging/error-fields.ts';
import type { AuditOutput } from './output.ts';

export interface LineWriter {
  /** Takes a line, with its end, to be written as soon as possible. @returns false when there is no capacity for it */
  offer(line: string): boolean;
  /**
   * Lines go to this output, also those that wait; undefined: to none, and what waits is given up. The output before it
   * gets the rest of a line that is written in part, and is closed. Where it does not take that, the new one gets the line.
   */
  use(output: AuditOutput | undefined): void;
  /** Waits until all is written, at most `limit` milliseconds. @returns how many lines still wait */
  flush(limit: number): Promise<number>;
}

export interface LineWriterOptions {
  /** Bytes that may wait. */
  readonly capacity: number;
  /** A write failed; it is tried again. Not called for an output that is only slow. */
  readonly onError: (error: Error) => void;
  /** All is written. */
  readonly onEmpty: () => void;
}

/** Milliseconds until the next try at a full pipe, and at an output that failed: a full disk rarely has space sooner. */
const slowPause = 10;
const errorPause = 1_000;

/** How long a slow output may delay a change to another one, in milliseconds. */
const changeLimit = 1_000;

/** Writes line after line, by sonic-boom, to one output at a time. Each line is whole in one output. */
export function createLineWriter({ capacity, onError, onEmpty }: LineWriterOptions): LineWriter {
  let current: OpenStream | undefined;
  let next: AuditOutput | undefined;
  let nextAt = 0;
  let emptied = Promise.withResolvers<void>();

  function change(output: AuditOutput): void {
    const lines = current?.end() ?? [];
    next = undefined;
    current = openStream(output, { onLineEnd, onEmpty: becameEmpty, onError: failed });
    for (const line of lines) current.write(line, Buffer.byteLength(line));
  }

  function onLineEnd(): void {
    if (next === undefined) return;
    change(next);
    if (current?.lines() === 0) becameEmpty();
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
    offer(line) {
      const bytes = Buffer.byteLength(line);
      if (current === undefined || current.size() + bytes > capacity) return false;
      current.write(line, bytes);
      return true;
    },
    use(output) {
      next?.close();
      next = undefined;
      if (output === undefined) {
        current?.abandon();
        current = undefined;
      } else if (current === undefined || current.lines() === 0) {
        change(output);
      } else {
        [next, nextAt] = [output, performance.now() + changeLimit];
        current.retry();
      }
    },
    async flush(limit) {
      if (current === undefined || current.lines() === 0) return 0;
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, limit);
      current.retry();
      await Promise.race([emptied.promise, late.promise]);
      clearTimeout(timer);
      return current.lines();
    },
  };
}

interface OpenStream {
  /** Lines of one turn are written together. @param length in bytes */
  write(line: string, length: number): void;
  /** Tries at once what has failed. */
  retry(): void;
  lines(): number;
  /** Bytes that wait. */
  size(): number;
  /** Closes it, between two writes. @returns the lines that are not written, from the one that is written in part */
  end(): readonly string[];
  /** Closes it after one more try. */
  abandon(): void;
}

/** sonic-boom's types know strings only. */
type ByteStream = Omit<InstanceType<typeof sonicBoom.SonicBoom>, 'write'> & { write(bytes: Uint8Array): boolean };

interface StreamEvents {
  /** The last line that was begun is whole, and no write is running. */
  onLineEnd(): void;
  onEmpty(): void;
  onError(error: Error, isSlow: boolean): void;
}

function openStream(
  { fd, maxWrite, endsTorn }: AuditOutput,
  { onLineEnd, onEmpty, onError }: StreamEvents,
): OpenStream {
  // Its own retry comes after 100 ms, and a pipe takes 64 KiB at a time: that would be 640 KiB/s at most.
  const settings = { fd, maxWrite, contentMode: 'buffer', retryEAGAIN: () => false } as const;
  const stream = new sonicBoom.SonicBoom(settings) as unknown as ByteStream;
  const waiting: { readonly line: string; readonly length: number }[] = [];
  let size = 0;
  let written = 0;
  let begin = endsTorn ? '\n' : '';
  const gathered = createGathering(maxWrite, (bytes) => stream.write(bytes));
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    clearTimeout(timer);
    return stream.removeAllListeners().on('error', () => stream.destroy());
  };

  stream.on('write', (count: number) => {
    size -= count;
    written += count;
    let ended = 0;
    for (const { length } of waiting) {
      if (length > written) break;
      written -= length;
      ended += 1;
    }
    waiting.splice(0, ended);
    if (written === 0) onLineEnd();
  });
  stream.on('drain', onEmpty);
  stream.on('error', (error: unknown) => {
    const isSlow = (error as NodeJS.ErrnoException).code === 'EAGAIN';
    clearTimeout(timer);
    timer = setTimeout(() => stream.flush(), isSlow ? slowPause : errorPause);
    onError(asError(error), isSlow);
  });

  return {
    write(line, length) {
      const whole = { line: begin + line, length: begin.length + length };
      begin = '';
      waiting.push(whole);
      size += whole.length;
      gathered.add(whole.line, whole.length);
    },
    retry() {
      gathered.pass();
      stream.flush();
    },
    lines: () => waiting.length,
    size: () => size,
    end() {
      gathered.drop();
      stop().destroy();
      return waiting.map(({ line }) => line.replace(/^\n/, ''));
    },
    // A write may be running: if the descriptor were closed now, the next file that is opened could get its number.
    abandon() {
      gathered.pass();
      stop().end();
    },
  };
}

interface Gathering {
  add(line: string, length: number): void;
  /** Passes on what was added, now and not at the end of the turn. */
  pass(): void;
  drop(): void;
}

/**
 * Gathers the lines of one turn: sonic-boom would write the first of them by itself, which takes as long as all others.
 *
 * @param write gets whole lines, at most `maxWrite` bytes of them or one that is longer
 */
function createGathering(maxWrite: number, write: (bytes: Buffer) => void): Gathering {
  let text = '';
  let size = 0;
  const drop = () => {
    [text, size] = ['', 0];
  };
  const pass = () => {
    if (size === 0) return;
    const bytes = Buffer.from(text);
    drop();
    write(bytes);
  };
  return {
    add(line, length) {
      if (size + length > maxWrite) pass();
      if (size === 0) queueMicrotask(pass);
      text += line;
      size += length;
    },
    pass,
    drop,
  };
}
