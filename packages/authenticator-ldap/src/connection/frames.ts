import { WireError } from './server-error.ts';

/** Directories send at most a few MiB. */
const defaultMaxBytes = 16 * 1024 * 1024;

/** Tag of a SEQUENCE: the first byte of each LDAPMessage (RFC 4511 section 4.1.1). */
const sequenceTag = 0x30;

/** Cuts a stream of bytes into LDAPMessages. */
export interface Framer {
  /**
   * The messages that this chunk completes, each with its header. The time that it takes depends on the bytes only, not
   * on how they are split.
   *
   * @throws WireError as soon as no LDAPMessage can begin with the bytes; the framer cannot be used afterwards
   */
  push(chunk: Buffer): Buffer[];
  /** Bytes of an incomplete message. */
  readonly pending: number;
}

/** @param maxBytes of one message, its header included */
export function createFramer(maxBytes: number = defaultMaxBytes): Framer {
  let store: Buffer = Buffer.alloc(0);
  let pending = 0;

  /** The pending bytes followed by the chunk. The store doubles, so that a small chunk rarely costs a copy of all. */
  function append(chunk: Buffer): Buffer {
    if (pending + chunk.length > store.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(2 * store.length, pending + chunk.length));
      store.copy(grown, 0, 0, pending);
      store = grown;
    }
    chunk.copy(store, pending);
    return store.subarray(0, pending + chunk.length);
  }

  return {
    push(chunk) {
      const bytes = pending === 0 ? chunk : append(chunk);
      const frames: Buffer[] = [];
      let offset = 0;
      for (;;) {
        const size = messageSize(bytes, offset, maxBytes);
        if (size === undefined || bytes.length - offset < size) break;
        frames.push(bytes.subarray(offset, offset + size));
        offset += size;
      }
      if (pending === 0 || offset > 0) {
        // Frames share the memory of the store, so what is left over gets a store of its own.
        store = Buffer.from(bytes.subarray(offset));
      }
      pending = bytes.length - offset;
      return frames;
    },
    get pending() {
      return pending;
    },
  };
}

/** Bytes of header and content of the message at the offset; undefined while its header is incomplete. */
function messageSize(bytes: Buffer, offset: number, maxBytes: number): number | undefined {
  const tag = bytes[offset];
  const first = bytes[offset + 1];
  if (tag !== undefined && tag !== sequenceTag) {
    throw new WireError(
      'protocol',
      `a message began with the byte 0x${tag.toString(16).padStart(2, '0')} and not 0x30`,
    );
  }
  if (first === undefined) return undefined;
  if (first < 0x80) return 2 + first;
  const count = first & 0x7f;
  // RFC 4511 section 5.1: the definite form only. No message within the bound needs more than four bytes.
  if (count === 0 || count > 4) {
    throw new WireError('protocol', `a message had the length byte 0x${first.toString(16)}`);
  }
  if (bytes.length - offset < 2 + count) return undefined;
  const size = 2 + count + bytes.readUIntBE(offset + 2, count);
  if (size > maxBytes) {
    throw new WireError('too-large', `a message of ${size} bytes began; the limit is ${maxBytes} bytes`);
  }
  return size;
}
