import { WireError } from './wire-error.ts';

/** Bytes of a line: a simple string, an error, a number or a length. Redis has no longer ones. */
const longestLine = 64 * 1024;

/** Arrays in arrays. CLUSTER SLOTS nests four. */
const deepest = 16;

export interface ReplyLimits {
  /** Of one answer, with what it announces and has not sent yet. */
  readonly bytes: number;
  /** Values in the arrays of one answer. The decoder reserves memory for all of them when it reads their number. */
  readonly elements: number;
}

export interface ReplyScanner {
  /**
   * Looks at bytes before they are decoded, in whatever pieces they come.
   *
   * @throws WireError for bytes that are not strict RESP2 or RESP3, and as soon as an answer announces more than the
   *   limits. The scanner must not be used afterwards
   */
  read(piece: Buffer): void;
}

/** Values of one line, and what may stand behind their type. */
const lines: Readonly<Record<string, RegExp>> = {
  '+': /^[^\n]*$/,
  '-': /^[^\n]*$/,
  ':': /^[+-]?\d{1,20}$/,
  ',': /^[+-]?(\d{1,400}(\.\d{0,400})?([eE][+-]?\d{1,4})?|inf|nan)$/,
  '(': /^[+-]?\d{1,4096}$/,
  '#': /^[tf]$/,
  _: /^$/,
};

/** Values with a length, and the least one: a verbatim string begins with four bytes that name its format. */
const blobs: Readonly<Record<string, number>> = { $: 0, '!': 0, '=': 4 };

/** Values that hold others, and how many for each that is counted. */
const arrays: Readonly<Record<string, number>> = { '*': 1, '~': 1, '%': 2, '>': 1 };

const carriageReturn = 13;
const lineFeed = 10;

/**
 * Follows the protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/) and keeps no value. The decoder
 * of ioredis trusts what it reads: a length that is no number sends it back to bytes that it has read already, and
 * eleven bytes that announce an array make it reserve 256 MiB.
 */
export function createReplyScanner(limits: ReplyLimits): ReplyScanner {
  /** Values that are still missing in each open array, the innermost last. */
  const open: number[] = [];
  let line = '';
  let awaitsLineFeed = false;
  /** Bytes of a blob that are to come. */
  let blob = 0;
  let endsBlob = false;
  let bytes = 0;
  let elements = 0;

  function count(more: number): void {
    bytes += more;
    if (bytes > limits.bytes) throw new WireError('an answer that is too big');
  }
  function endValue(): void {
    while (open.length > 0) {
      const left = (open.pop() ?? 0) - 1;
      if (left > 0) {
        open.push(left);
        return;
      }
    }
    bytes = 0;
    elements = 0;
  }
  function beginArray(length: number): void {
    elements += length;
    if (elements > limits.elements || open.length >= deepest) throw new WireError('an answer that is too big');
    if (length === 0) endValue();
    else open.push(length);
  }
  function begin(type: string, text: string): void {
    const leastLength = blobs[type];
    const perCount = arrays[type];
    const isNull = text === '-1' && (type === '$' || type === '*');
    if (isNull || lines[type]?.test(text)) endValue();
    else if (leastLength !== undefined) {
      blob = lengthOf(text, leastLength);
      count(blob);
      endsBlob = true;
    } else if (perCount !== undefined && (type !== '>' || open.length === 0)) beginArray(lengthOf(text, 0) * perCount);
    else throw notRedis();
  }
  function endLine(): void {
    awaitsLineFeed = true;
    if (endsBlob) {
      endsBlob = false;
      endValue();
      return;
    }
    const whole = line;
    line = '';
    begin(whole.charAt(0), whole.slice(1));
  }
  /** As the decoder does, it takes a line for ended at its carriage return. @returns where the next byte is */
  function readLine(piece: Buffer, start: number): number {
    if (awaitsLineFeed) {
      if (piece[start] !== lineFeed) throw notRedis();
      awaitsLineFeed = false;
      return start + 1;
    }
    const end = piece.indexOf(carriageReturn, start);
    const stop = end < 0 ? piece.length : end;
    if (endsBlob && stop > start) throw notRedis();
    count(stop - start);
    line += piece.toString('latin1', start, Math.min(stop, start + longestLine + 1));
    if (line.length > longestLine) throw new WireError('an answer that is too big');
    if (end < 0) return stop;
    endLine();
    return end + 1;
  }
  return {
    read(piece) {
      let at = 0;
      while (at < piece.length) {
        // The line that announced it comes to its end first.
        const skipped = awaitsLineFeed ? 0 : Math.min(blob, piece.length - at);
        blob -= skipped;
        at += skipped;
        if (at < piece.length) at = readLine(piece, at);
      }
    },
  };
}

function lengthOf(text: string, least: number): number {
  const length = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (length < least) throw notRedis();
  return length;
}

function notRedis(): WireError {
  return new WireError('bytes that are not the Redis protocol');
}
