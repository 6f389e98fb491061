/** A line that is made when it is written: many at a time take a fifth of what each takes between two reviews. */
export interface PendingLine {
  /** About how many bytes it holds until then. */
  readonly size: number;
  /** The line, with its end. Never throws. */
  text(): string;
}

/** Lines that wait. */
export interface LineQueue {
  readonly lines: number;
  /** @returns false when there is no room for it */
  add(line: PendingLine): boolean;
  /** The next lines, whole ones, of at most so many bytes; the next line alone where that one is longer. */
  take(most: number): Buffer;
}

/** Taken lines are let go of when so many have come together. */
const slack = 1024;

/** @param room in bytes */
export function createLineQueue(room: number): LineQueue {
  let waiting: PendingLine[] = [];
  let first = 0;
  let bytes = 0;
  // Made, and too long for those that were taken last.
  let made: Buffer | undefined;

  const next = (): Buffer | undefined => {
    const line = waiting[first];
    return made ?? (line && Buffer.from(line.text()));
  };
  const letGo = () => {
    bytes -= waiting[first]?.size ?? 0;
    first += 1;
    made = undefined;
    if (first < waiting.length && first <= slack) return;
    waiting = waiting.slice(first);
    first = 0;
  };
  return {
    get lines() {
      return waiting.length - first;
    },
    add(line) {
      if (bytes + line.size > room) return false;
      waiting.push(line);
      bytes += line.size;
      return true;
    },
    take(most) {
      const lines: Buffer[] = [];
      let taken = 0;
      for (let line = next(); line !== undefined; line = next()) {
        made = line;
        if (taken > 0 && taken + line.length > most) break;
        lines.push(line);
        taken += line.length;
        letGo();
      }
      return Buffer.concat(lines);
    },
  };
}
