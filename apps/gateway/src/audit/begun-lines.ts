import type { AuditOutput } from './output.ts';

/** What was taken out of the queue and is being written: whole lines, of which a part may stand in the output already. */
export interface BegunLines {
  readonly rest: Buffer;
  /** Nothing that follows would stand within a line. */
  readonly isBetweenLines: boolean;
  take(lines: Buffer): void;
  wrote(bytes: number): void;
  /** The rest goes there instead, or nowhere, from the start of the line that was begun. What the output lacks of its last line's end comes first. */
  moveTo(output: Pick<AuditOutput, 'endsTorn'> | undefined): void;
}

export const lineEnd = 0x0a;

export function createBegunLines(): BegunLines {
  let chunk: Buffer = Buffer.alloc(0);
  let written = 0;
  return {
    get rest() {
      return chunk.subarray(written);
    },
    get isBetweenLines() {
      return written === 0 || chunk[written - 1] === lineEnd;
    },
    take(lines) {
      chunk = lines;
      written = 0;
    },
    wrote(bytes) {
      written += bytes;
    },
    moveTo(output) {
      const rest = output ? chunk.subarray(chunk.subarray(0, written).lastIndexOf(lineEnd) + 1) : Buffer.alloc(0);
      // An end that was meant for another output.
      const lines = rest[0] === lineEnd ? rest.subarray(1) : rest;
      chunk = output?.endsTorn ? Buffer.concat([Buffer.of(lineEnd), lines]) : lines;
      written = 0;
    },
  };
}
