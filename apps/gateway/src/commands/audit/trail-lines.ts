/** A line of a trail, and where it stands. */
export interface TrailLine {
  readonly file: string;
  /** From 1. */
  readonly number: number;
  /** Undefined: longer than any line of ours. */
  readonly text: string | undefined;
  /** It has its end. */
  readonly isWhole: boolean;
}

/** Bytes. A line of ours has some hundreds; a file without line ends must not fill the memory. */
const longest = 1024 * 1024;

const lineEnd = 0x0a;

/** Takes a file apart, one line in memory at a time. */
export async function* trailLines(file: string, content: AsyncIterable<Buffer>): AsyncGenerator<TrailLine> {
  let number = 0;
  let parts: Buffer[] = [];
  let length = 0;
  const add = (part: Buffer) => {
    length += part.length;
    if (length <= longest) parts.push(part);
  };
  const line = (isWhole: boolean): TrailLine => {
    const text = length > longest ? undefined : Buffer.concat(parts, length).toString();
    number += 1;
    parts = [];
    length = 0;
    return { file, number, text, isWhole };
  };
  for await (const chunk of content) {
    let start = 0;
    for (let end = chunk.indexOf(lineEnd); end >= 0; end = chunk.indexOf(lineEnd, start)) {
      add(chunk.subarray(start, end));
      start = end + 1;
      yield line(true);
    }
    add(chunk.subarray(start));
  }
  if (length > 0) yield line(false);
}
