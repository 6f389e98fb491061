import { readHeader } from './codec.ts';
import { WireError } from './server-error.ts';

/** Directories send at most a few MiB. */
const defaultMaxBytes = 16 * 1024 * 1024;

/** Tag of a SEQUENCE: the first byte of each LDAPMessage (RFC 4511 section 4.1.1). */
const sequenceTag = 0x30;

export type Framer = ReturnType<typeof createFramer>;

/** Cuts a stream of bytes into LDAPMessages. @param maxBytes of one message, its header included */
export function createFramer(maxBytes: number = defaultMaxBytes) {
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
    /**
     * The messages that this chunk completes, each with its header. The time that it takes depends on the bytes only, not
     * on how they are split.
     *
     * @throws WireError as soon as no LDAPMessage can begin with the bytes; the framer cannot be used afterwards
     */
    push(chunk: Buffer): Buffer[] {
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
    /** Bytes of an incomplete message. */
    get pending() {
      return pending;
    },
  };
}

/** Bytes of header and content of the message at the offset; undefined while its header is incomplete. */
function messageSize(bytes: Buffer, offset: number, maxBytes: number): number | undefined {
  const tag = bytes[offset];
  if (tag !== undefined && tag !== sequenceTag) {
    const found = `0x${tag.toString(16).padStart(2, '0')}`;
    throw new WireError('protocol', `a message began with the byte ${found} and not 0x30`);
  }
  const header = readHeader(bytes, offset);
  if (header === undefined) return undefined;
  const size = header.end - offset;
  if (size > maxBytes) {
    throw new WireError('too-large', `a message of ${size} bytes began; the limit is ${maxBytes} bytes`);
  }
  return size;
}
