import asn1, { type BerWriter } from '@ldapjs/asn1';
import type { Filter } from '../filter/filter.ts';
import { WireError } from './server-error.ts';
import type { BindCredentials, SearchRequest } from './types.ts';

// Only this file knows @ldapjs/asn1, which writes requests and takes answers apart.

export const startTlsName = '1.3.6.1.4.1.1466.20037';

/** The control of draft-behera-ldap-password-policy-11 section 6. */
export const passwordPolicyControl = '1.3.6.1.4.1.42.2.27.8.5.1';

/** The tags of requests in RFC 4511 section 4. */
const requestTags = { bind: 0x60, unbind: 0x42, search: 0x63, extended: 0x77 } as const;

/** Encodes a simple bind. Its password policy control is not critical. */
export function encodeBind(id: number, { dn, password }: BindCredentials): Buffer {
  return encode(id, (writer) => {
    writeSequence(writer, requestTags.bind, () => {
      writer.writeInt(ldapVersion);
      writer.writeString(dn);
      writer.writeString(password, 0x80);
    });
    writeSequence(writer, 0xa0, () =>
      writeSequence(writer, sequenceTag, () => {
        writer.writeString(passwordPolicyControl);
        writer.writeBoolean(false);
      }),
    );
  });
}

const ldapVersion = 3;

/** Encodes a search that follows no aliases. @throws Error for a wrong attribute or rule (RFC 4512 section 2.5) */
export function encodeSearch(id: number, request: SearchRequest): Buffer {
  const { base, scope, filter, attributes, sizeLimit, timeLimit = 0 } = request;
  return encode(id, (writer) =>
    writeSequence(writer, requestTags.search, () => {
      writer.writeString(base);
      writer.writeEnumeration(['base', 'one', 'sub'].indexOf(scope));
      writer.writeEnumeration(neverDerefAliases);
      writer.writeInt(sizeLimit);
      writer.writeInt(timeLimit);
      writer.writeBoolean(false);
      writeFilter(writer, filter);
      writeSequence(writer, sequenceTag, () => {
        // `*` asks for all attributes, and `+` for all operational ones (RFC 3673).
        for (const name of attributes)
          writer.writeString(/^[*+]$/.test(name) ? name : checkAttribute(name));
      });
    }),
  );
}

const neverDerefAliases = 0;

export function encodeStartTls(id: number): Buffer {
  return encode(id, (writer) =>
    writeSequence(writer, requestTags.extended, () => writer.writeString(startTlsName, 0x80)),
  );
}

export function encodeUnbind(id: number): Buffer {
  return encode(id, (writer) => writer.writeString('', requestTags.unbind));
}

function encode(id: number, writeOperation: (writer: BerWriter) => void): Buffer {
  const writer = new asn1.BerWriter();
  writeSequence(writer, sequenceTag, () => {
    writer.writeInt(id);
    writeOperation(writer);
  });
  const bytes = writer.buffer;
  // The writer can cut off the end of a message over 64 KiB whose size is that of its buffer.
  if (readElements(bytes, { elements: 1 }).length !== 1)
    throw new Error('the LDAP request could not be written');
  return bytes;
}

function writeSequence(writer: BerWriter, tag: number, writeContent: () => void): void {
  writer.startSequence(tag);
  writeContent();
  writer.endSequence();
}

/** The tags of RFC 4511 section 4.5.1.7. */
const filterTags = {
  and: 0xa0,
  or: 0xa1,
  not: 0xa2,
  equality: 0xa3,
  substring: 0xa4,
  'greater-or-equal': 0xa5,
  'less-or-equal': 0xa6,
  present: 0x87,
  approximate: 0xa8,
  extensible: 0xa9,
} as const;

function writeFilter(writer: BerWriter, filter: Filter): void {
  if (filter.kind === 'present') {
    writer.writeString(checkAttribute(filter.attribute), filterTags.present);
    return;
  }
  writer.startSequence(filterTags[filter.kind]);
  switch (filter.kind) {
    case 'and':
    case 'or':
      for (const operand of filter.filters) writeFilter(writer, operand);
      break;
    case 'not':
      writeFilter(writer, filter.filter);
      break;
    case 'substring':
      writer.writeString(checkAttribute(filter.attribute));
      writer.startSequence(sequenceTag);
      if (filter.initial) writer.writeBuffer(filter.initial, 0x80);
      for (const substring of filter.any) writer.writeBuffer(substring, 0x81);
      if (filter.final) writer.writeBuffer(filter.final, 0x82);
      writer.endSequence();
      break;
    case 'extensible':
      if (filter.rule !== undefined) writer.writeString(checkAttribute(filter.rule), 0x81);
      if (filter.attribute !== undefined)
        writer.writeString(checkAttribute(filter.attribute), 0x82);
      writer.writeBuffer(filter.value, 0x83);
      if (filter.dnAttributes) writer.writeBoolean(true, 0x84);
      break;
    default:
      writer.writeString(checkAttribute(filter.attribute));
      writer.writeBuffer(filter.value, 0x04);
  }
  writer.endSequence();
}

/** Matches a name or an OID, with options. RFC 4512 does not allow underscores, but schemas have them. */
const attributePattern = /^(?:[a-z][\w-]*|\d+(?:\.\d+)*)(?:;[\w=*-]+)*$/i;

function checkAttribute(name: string): string {
  if (attributePattern.test(name)) return name;
  throw new Error(
    `${JSON.stringify(name)} is not the name or OID of an LDAP attribute or matching rule`,
  );
}

export interface Element {
  readonly tag: number;
  /** It shares the memory of the bytes that were read. */
  readonly content: Buffer;
}

/** How many more elements may be read. A small element costs much more memory than its bytes. */
export interface Budget {
  elements: number;
}

/**
 * Reads the BER elements that `bytes` consists of.
 *
 * @throws WireError when they are not whole, or too many for the budget
 */
export function readElements(bytes: Buffer, budget: Budget): Element[] {
  const elements: Element[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    budget.elements -= 1;
    if (budget.elements < 0)
      throw new WireError('too-large', 'there are too many attributes or values');
    const header = readHeader(bytes, offset);
    if (header === undefined || header.end > bytes.length) {
      throw new WireError('protocol', 'an element is longer than what it is in');
    }
    elements.push({ tag: bytes[offset] ?? 0, content: bytes.subarray(header.start, header.end) });
    offset = header.end;
  }
  return elements;
}

/**
 * Finds the content of the BER element at the offset, perhaps beyond the bytes.
 *
 * @returns undefined if its length is cut off
 */
function readHeader(bytes: Buffer, offset: number) {
  const reader = new asn1.BerReader(bytes);
  try {
    const start = reader.readLength(offset + 1);
    // The length is negative when its four bytes have the highest bit set.
    return start === null ? undefined : { start, end: start + (reader.length >>> 0) };
  } catch {
    // The length is indefinite, or has more than four bytes (RFC 4511 section 5.1).
    throw new WireError('protocol', 'an element has no readable length');
  }
}

/** Directories send a few MiB at most. */
const defaultMaxBytes = 16 * 1024 * 1024;

const sequenceTag = 0x30;

/** Creates what cuts a stream of bytes into LDAPMessages. @param maxBytes the limit for a message with its header */
export function createFramer(maxBytes: number = defaultMaxBytes) {
  let store: Buffer = Buffer.alloc(0);
  let pending = 0;

  /** Appends the chunk to the pending bytes. The store doubles, so that a small chunk rarely costs a copy of all. */
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
     * Returns the messages that this chunk completes, in a time that does not depend on how the bytes are split.
     *
     * @throws WireError as soon as no LDAPMessage can begin with the bytes. The framer can't be used afterwards
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
        // Frames share the memory of the store, so the rest gets a store of its own.
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

/** Counts the bytes of the message at the offset, header included. @returns undefined while its header is incomplete */
function messageSize(bytes: Buffer, offset: number, maxBytes: number): number | undefined {
  const tag = bytes[offset];
  if (tag !== undefined && tag !== sequenceTag) {
    const firstByte = `0x${tag.toString(16).padStart(2, '0')}`;
    // An HTTP server answers with `HTTP/1.1 400 Bad Request`.
    const hint = tag === 0x48 ? ': is this the port of an HTTP server?' : '';
    throw new WireError(
      'protocol',
      `a message began with the byte ${firstByte} and not 0x30${hint}`,
    );
  }
  const header = readHeader(bytes, offset);
  if (header === undefined) return undefined;
  const size = header.end - offset;
  if (size > maxBytes) {
    throw new WireError(
      'too-large',
      `a message of ${size} bytes began; the limit is ${maxBytes} bytes`,
    );
  }
  return size;
}
