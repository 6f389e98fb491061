import { WireError } from './wire-error.ts';

/** Bytes of a line: a simple string, an error, a number or a length. Redis has no longer ones. */
const longestLine = 64 * 1024;

/** Arrays in arrays. CLUSTER SLOTS nests four. */
const deepest = 16;

export interface ReplyLimits {
  /** Of one answer, with the part of its length that has not come yet. */
  readonly bytes: number;
  /** Values in the arrays of one answer. The decoder reserves memory for all of them when it reads their number. */
  readonly elements: number;
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
 * Follows the protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/) and stores no value. The decoder
 * of ioredis trusts what it reads: a length that is no number sends it back to bytes that it has read already, and
 * an array whose length is 33,554,431 makes it reserve 256 MiB before a value comes.
 */
export class ReplyScanner {
  readonly #limits: ReplyLimits;
  /** Values that are still missing in each open array, the innermost last. */
  readonly #open: number[] = [];
  #line = '';
  #awaitsLineFeed = false;
  /** Bytes of a blob that are to come. */
  #blob = 0;
  #endsBlob = false;
  #bytes = 0;
  #elements = 0;

  constructor(limits: ReplyLimits) {
    this.#limits = limits;
  }

  /**
   * Looks at bytes before they are decoded, in whatever pieces they come.
   *
   * @throws WireError for bytes that are not strict RESP2 or RESP3, and as soon as the lengths in an answer pass the
   *   limits. The scanner must not be used afterwards
   */
  read(piece: Buffer): void {
    let at = 0;
    while (at < piece.length) {
      // The line with its length comes to its end first.
      const skipped = this.#awaitsLineFeed ? 0 : Math.min(this.#blob, piece.length - at);
      this.#blob -= skipped;
      at += skipped;
      if (at < piece.length) at = this.#readLine(piece, at);
    }
  }

  /** As the decoder does, it takes a line for ended at its carriage return. @returns where the next byte is */
  #readLine(piece: Buffer, start: number): number {
    if (this.#awaitsLineFeed) {
      if (piece[start] !== lineFeed) throw notRedis();
      this.#awaitsLineFeed = false;
      return start + 1;
    }
    const end = piece.indexOf(carriageReturn, start);
    const stop = end < 0 ? piece.length : end;
    if (this.#endsBlob && stop > start) throw notRedis();
    this.#count(stop - start);
    this.#line += piece.toString('latin1', start, Math.min(stop, start + longestLine + 1));
    if (this.#line.length > longestLine) throw new WireError('an answer that is too big');
    if (end < 0) return stop;
    this.#endLine();
    return end + 1;
  }

  #endLine(): void {
    this.#awaitsLineFeed = true;
    if (this.#endsBlob) {
      this.#endsBlob = false;
      this.#endValue();
      return;
    }
    const line = this.#line;
    this.#line = '';
    this.#begin(line.charAt(0), line.slice(1));
  }

  #begin(type: string, text: string): void {
    const leastLength = blobs[type];
    const perCount = arrays[type];
    const isNull = text === '-1' && (type === '$' || type === '*');
    if (isNull || lines[type]?.test(text)) this.#endValue();
    else if (leastLength !== undefined) {
      this.#blob = lengthOf(text, leastLength);
      this.#count(this.#blob);
      this.#endsBlob = true;
    } else if (perCount !== undefined && (type !== '>' || this.#open.length === 0)) {
      this.#beginArray(lengthOf(text, 0) * perCount);
    } else throw notRedis();
  }

  #beginArray(length: number): void {
    this.#elements += length;
    if (this.#elements > this.#limits.elements || this.#open.length >= deepest) {
      throw new WireError('an answer that is too big');
    }
    if (length === 0) this.#endValue();
    else this.#open.push(length);
  }

  #endValue(): void {
    while (this.#open.length > 0) {
      const left = (this.#open.pop() ?? 0) - 1;
      if (left > 0) {
        this.#open.push(left);
        return;
      }
    }
    this.#bytes = 0;
    this.#elements = 0;
  }

  #count(more: number): void {
    this.#bytes += more;
    if (this.#bytes > this.#limits.bytes) throw new WireError('an answer that is too big');
  }
}

function lengthOf(text: string, least: number): number {
  const length = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (length < least) throw notRedis();
  return length;
}

function notRedis(): WireError {
  return new WireError('bytes that are not the Redis protocol');
}
