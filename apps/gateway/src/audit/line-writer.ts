import { asError } from '../logging/error-fields.ts';
import { createBegunLines, lineEnd } from './begun-lines.ts';
import { createLineQueue } from './line-queue.ts';
import type { AuditOutput } from './output.ts';
import { createPause } from './pause.ts';

export interface LineWriter {
  /** Takes a line, with its end, to be written when it can be. @returns false when there is no room for it */
  offer(line: string): boolean;
  /** From the next line on, lines go there; undefined: nowhere, and what waits is given up. What went on before is closed, also if it was not come to. */
  use(output: AuditOutput | undefined): void;
  /** Waits until all is written, so many milliseconds at most. @returns how many lines still wait */
  flush(limit: number): Promise<number>;
}

export interface LineWriterOptions {
  /** Bytes that may wait. */
  readonly room: number;
  /** A write failed; it is tried again. Not told of an output that is only slow. */
  readonly onFault: (error: Error) => void;
  /** All is written. */
  readonly onEmpty: () => void;
}

/** Milliseconds. How soon a slow output is looked at again, and one that failed: a full disk is seldom mended sooner. */
const slowPause = 10;
const faultPause = 1_000;

/** How long a line that was begun may hold up a change of the output, in milliseconds; then it stays torn there. */
const changePatience = 1_000;

/** Writes line after line to one output at a time. A line that was begun is ended before anything else is written. */
export function createLineWriter({ room, onFault, onEmpty }: LineWriterOptions): LineWriter {
  const queue = createLineQueue(room);
  const begun = createBegunLines();
  const pause = createPause();
  let output: AuditOutput | undefined;
  let next: { readonly output: AuditOutput | undefined; readonly until: number; isDue: boolean } | undefined;
  let writing: Promise<void> | undefined;

  async function change(to: AuditOutput | undefined): Promise<void> {
    begun.moveTo(to);
    const old = output;
    [output, next] = [to, undefined];
    await old?.close().catch(() => undefined);
  }

  async function write(to: AuditOutput): Promise<void> {
    try {
      begun.wrote(await to.write(begun.rest));
    } catch (error) {
      const isSlow = (error as NodeJS.ErrnoException).code === 'EAGAIN';
      if (!isSlow) onFault(asError(error));
      if (next !== undefined) next.isDue ||= !isSlow || performance.now() > next.until;
      if (next?.isDue !== true) await pause.last(isSlow ? slowPause : faultPause);
    }
  }

  async function writeAll(): Promise<void> {
    await undefined; // What is offered in one go is written in one go.
    for (;;) {
      if (next !== undefined && (next.isDue || begun.isBetweenLines)) await change(next.output);
      if (output === undefined) return;
      if (begun.rest.length === 0) begun.take(queue.take(output.most));
      if (begun.rest.length > 0) await write(output);
      else if (next === undefined) return;
    }
  }

  function start(): void {
    writing ??= writeAll().finally(() => {
      writing = undefined;
      if (next !== undefined || (output !== undefined && queue.lines > 0)) start();
      else if (output !== undefined) onEmpty();
    });
  }

  return {
    offer(line) {
      start();
      return queue.add(line);
    },
    use(to) {
      void next?.output?.close().catch(() => undefined);
      if (to === undefined) queue.clear();
      next = { output: to, until: performance.now() + changePatience, isDue: false };
      pause.end();
      start();
    },
    async flush(limit) {
      pause.end();
      await settled(() => writing, limit);
      return queue.lines + begun.rest.filter((byte) => byte === lineEnd).length;
    },
  };
}

/** Waits until there is no work any more, so many milliseconds at most. */
async function settled(work: () => Promise<void> | undefined, limit: number): Promise<void> {
  const late = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => late.resolve('late'), limit);
  for (let one = work(); one !== undefined; one = work()) {
    if ((await Promise.race([one, late.promise])) === 'late') break;
  }
  clearTimeout(timer);
}
