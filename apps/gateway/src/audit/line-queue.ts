/** Lines that wait. */
export interface LineQueue {
  readonly lines: number;
  /** @returns false when there is no room for it */
  add(line: string): boolean;
  /** The next lines, whole ones, of at most so many bytes; the next line alone where that one is longer. */
  take(most: number): Buffer;
  clear(): void;
}

/** Taken lines are let go of when so many have come together. */
const slack = 1024;

/** @param room in bytes */
export function createLineQueue(room: number): LineQueue {
  let waiting: string[] = [];
  let first = 0;
  let bytes = 0;
  const letGo = (count: number) => {
    first += count;
    if (first < waiting.length && first <= slack) return;
    waiting = waiting.slice(first);
    first = 0;
  };
  return {
    get lines() {
      return waiting.length - first;
    },
    add(line) {
      const size = Buffer.byteLength(line);
      if (bytes + size > room) return false;
      waiting.push(line);
      bytes += size;
      return true;
    },
    take(most) {
      let taken = 0;
      let end = first;
      for (let line = waiting[end]; line !== undefined; line = waiting[end]) {
        const size = Buffer.byteLength(line);
        if (taken > 0 && taken + size > most) break;
        taken += size;
        end += 1;
      }
      const lines = Buffer.from(waiting.slice(first, end).join(''));
      bytes -= taken;
      letGo(end - first);
      return lines;
    },
    clear() {
      waiting = [];
      first = 0;
      bytes = 0;
    },
  };
}
