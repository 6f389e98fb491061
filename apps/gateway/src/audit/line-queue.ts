/** Lines that wait. */
export interface LineQueue {
  readonly lines: number;
  /** @returns false when there is no room for it */
  add(line: string): boolean;
  /** The next lines, whole ones, of at most so many bytes; the next line alone where that one is longer. */
  take(most: number): Buffer;
}

/** Taken lines are let go of when so many have come together. */
const slack = 1024;

/** @param room in bytes */
export function createLineQueue(room: number): LineQueue {
  let waiting: { readonly line: string; readonly size: number }[] = [];
  let first = 0;
  let bytes = 0;
  return {
    get lines() {
      return waiting.length - first;
    },
    add(line) {
      const size = Buffer.byteLength(line);
      if (bytes + size > room) return false;
      waiting.push({ line, size });
      bytes += size;
      return true;
    },
    take(most) {
      const start = first;
      let taken = 0;
      for (let next = waiting[first]; next !== undefined; next = waiting[first]) {
        if (taken > 0 && taken + next.size > most) break;
        taken += next.size;
        first += 1;
      }
      const lines = waiting.slice(start, first).map(({ line }) => line);
      bytes -= taken;
      if (first === waiting.length || first > slack) {
        waiting = waiting.slice(first);
        first = 0;
      }
      return Buffer.from(lines.join(''));
    },
  };
}
