import { WireError } from './problems.ts';

/** Bytes of a line: a simple string, an error, a number or a length. Redis never sends longer ones. */
const maxLineLength = 64 * 1024;

/** Depth of nested arrays. CLUSTER SLOTS has four. */
const maxDepth = 16;

interface ReplyLimits {
  /** The bytes of one answer, including those of its lengths that have not come yet. */
  readonly bytes: number;
  /** The values in arrays of one answer. The decoder reserves memory for all of them when it reads their number. */
  readonly elements: number;
}

/** Values of one line: the pattern of the text after their type. */
const lines: Readonly<Record<string, RegExp>> = {
  '+': /^[^\n]*$/,
  '-': /^[^\n]*$/,
  ':': /^[+-]?\d{1,20}$/,
  ',': /^[+-]?(\d{1,400}(\.\d{0,400})?([eE][+-]?\d{1,4})?|inf|nan)$/,
  '(': /^[+-]?\d{1,4096}$/,
  '#': /^[tf]$/,
  _: /^$/,
};

/** Values with a length: their minimum length. A verbatim string begins with four bytes that name its format. */
const blobs: Readonly<Record<string, number>> = { $: 0, '!': 0, '=': 4 };

/** Values that contain others: how many for each counted one. */
const arrays: Readonly<Record<string, number>> = { '*': 1, '~': 1, '%': 2, '>': 1 };

const carriageReturn = 13;
const lineFeed = 10;

/**
 * Follows the protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/) without storing values. The decoder of
 * ioredis trusts what it reads: a length that is not a number sends it back to bytes that it has read already, and an array
 * whose length is 33,554,431 makes it reserve 256 MiB before a value comes.
 *
 * @returns a function that checks bytes before they are decoded, in any pieces. It throws a WireError for bytes that are not
 *   strict RESP2 or RESP3, and as soon as the lengths in an answer exceed the limits. It must not be called after that
 */
export function createReplyScanner(limits: ReplyLimits): (piece: Buffer) => void {
  const state = newState(limits);
  return (piece) => read(state, piece);
}

function newState(limits: ReplyLimits) {
  return {
    limits,
    /** The number of missing values of each open array, the innermost last. */
    open: [] as number[],
    line: '',
    awaitsLineFeed: false,
    /** The number of missing bytes of a blob. */
    blob: 0,
    endsBlob: false,
    bytes: 0,
    elements: 0,
  };
}

type State = ReturnType<typeof newState>;

function read(state: State, piece: Buffer): void {
  let offset = 0;
  while (offset < piece.length) {
    // The line with the length of the blob ends first.
    const skipped = state.awaitsLineFeed ? 0 : Math.min(state.blob, piece.length - offset);
    state.blob -= skipped;
    offset += skipped;
    if (offset < piece.length) offset = readLine(state, piece, offset);
  }
}

/** Reads to the end of a line. Like the decoder, it ends a line at its carriage return. @returns the index of the next byte */
function readLine(state: State, piece: Buffer, start: number): number {
  if (state.awaitsLineFeed) {
    if (piece[start] !== lineFeed) throw notRedis();
    state.awaitsLineFeed = false;
    return start + 1;
  }
  const end = piece.indexOf(carriageReturn, start);
  const stop = end < 0 ? piece.length : end;
  if (state.endsBlob && stop > start) throw notRedis();
  count(state, stop - start);
  state.line += piece.toString('latin1', start, Math.min(stop, start + maxLineLength + 1));
  if (state.line.length > maxLineLength) throw tooBig();
  if (end < 0) return stop;
  endLine(state);
  return end + 1;
}

function endLine(state: State): void {
  const { line, endsBlob } = state;
  state.awaitsLineFeed = true;
  state.endsBlob = false;
  state.line = '';
  if (endsBlob) endValue(state);
  else begin(state, line.charAt(0), line.slice(1));
}

function begin(state: State, type: string, text: string): void {
  const minLength = blobs[type];
  const perCount = arrays[type];
  const isNull = text === '-1' && (type === '$' || type === '*');
  if (isNull || lines[type]?.test(text)) endValue(state);
  else if (minLength !== undefined) {
    state.blob = parseLength(text, minLength);
    count(state, state.blob);
    state.endsBlob = true;
  } else if (perCount !== undefined && (type !== '>' || state.open.length === 0)) {
    beginArray(state, parseLength(text, 0) * perCount);
  } else throw notRedis();
}

function beginArray(state: State, length: number): void {
  state.elements += length;
  if (state.elements > state.limits.elements || state.open.length >= maxDepth) throw tooBig();
  if (length === 0) endValue(state);
  else state.open.push(length);
}

function endValue(state: State): void {
  while (state.open.length > 0) {
    const pending = (state.open.pop() ?? 0) - 1;
    if (pending > 0) {
      state.open.push(pending);
      return;
    }
  }
  state.bytes = 0;
  state.elements = 0;
}

function count(state: State, bytes: number): void {
  state.bytes += bytes;
  if (state.bytes > state.limits.bytes) throw tooBig();
}

function parseLength(text: string, min: number): number {
  const length = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (length < min) throw notRedis();
  return length;
}

const notRedis = () => new WireError('bytes that are not the Redis protocol');
const tooBig = () => new WireError('an answer that is too big');
