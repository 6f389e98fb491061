import asn1, { type BerWriter } from '@ldapjs/asn1';
import ldapjs, { type FilterString, type LdapMessage } from 'ldapjs';
import type { Filter } from '../filter/filter.ts';
import { WireError } from './server-error.ts';
import type { BindCredentials, SearchRequest } from './types.ts';

// All that the plugin knows of ldapjs is in this file: its message classes write requests, its BER reader takes answers
// apart. Its client is never created, and its readers of whole messages are not used: they read past the element that
// they are in, return `null` for what is cut off, and read a result code without a byte as 0, which is success.

/** The OID of StartTLS (RFC 4511 section 4.14.1). */
export const startTlsName = '1.3.6.1.4.1.1466.20037';

/** A simple bind, with the password policy control (draft-behera-ldap-password-policy-11 section 6.1), not critical. */
export function encodeBind(id: number, { dn, password }: BindCredentials): Buffer {
  const controls = [new ldapjs.PasswordPolicyControl()];
  return encode(new ldapjs.BindRequest({ messageId: id, name: dn, credentials: password, controls }));
}

/**
 * Aliases are never followed; there is no time limit for the server, since ours ends the search.
 *
 * @throws Error for an attribute or a rule that is no attribute description (RFC 4512 section 2.5)
 */
export function encodeSearch(id: number, request: SearchRequest): Buffer {
  const { base, scope, sizeLimit } = request;
  // ldapjs would parse a DN in a string and write it again, and lose backslashes.
  const baseObject = { [Symbol.toStringTag]: 'LdapDn', toString: () => base } as const;
  const message = new ldapjs.SearchRequest({
    messageId: id,
    baseObject,
    scope,
    sizeLimit,
    filter: toLdapjs(request.filter),
  });
  // Its setter refuses OIDs.
  message.attributes.push(...request.attributes.map(checkRequested));
  return encode(message);
}

export function encodeStartTls(id: number): Buffer {
  return encode(new ldapjs.ExtendedRequest({ messageId: id, requestName: startTlsName }));
}

export function encodeUnbind(id: number): Buffer {
  return encode(new ldapjs.UnbindRequest({ messageId: id }));
}

function encode(message: LdapMessage): Buffer {
  const bytes = message.toBer().buffer;
  // The writer can cut off the end of a message over 64 KiB whose size meets that of its buffer.
  if (readElements(bytes, { elements: 1 }).length !== 1) throw new Error('the LDAP request could not be written');
  return bytes;
}

function toLdapjs(filter: Filter): FilterString {
  switch (filter.kind) {
    case 'and':
      return new ldapjs.AndFilter({ filters: filter.filters.map(toLdapjs) });
    case 'or':
      return new ldapjs.OrFilter({ filters: filter.filters.map(toLdapjs) });
    case 'not':
      return new ldapjs.NotFilter({ filter: toLdapjs(filter.filter) });
    case 'present':
      return new ldapjs.PresenceFilter({ attribute: checkAttribute(filter.attribute) });
    case 'equality':
      return new ldapjs.EqualityFilter({ attribute: checkAttribute(filter.attribute), raw: filter.value });
    case 'greater-or-equal':
      return assertion(0xa5, filter);
    case 'less-or-equal':
      return assertion(0xa6, filter);
    case 'approximate':
      return assertion(0xa8, filter);
    case 'substring':
      return substring(filter);
    case 'extensible':
      return extensible(filter);
  }
}

/** A filter whose content is written here, since ldapjs' class for it takes values as text only. */
class OctetFilter extends ldapjs.FilterString {
  readonly #write: (writer: BerWriter) => void;

  constructor(tag: number, write: (writer: BerWriter) => void) {
    super();
    this.TAG = tag;
    this.#write = write;
  }

  override _toBer(writer: BerWriter): void {
    this.#write(writer);
  }
}

const octetString = 0x04;

function assertion(tag: number, { attribute, value }: { attribute: string; value: Buffer }): FilterString {
  return new OctetFilter(tag, (writer) => {
    writer.writeString(checkAttribute(attribute));
    writer.writeBuffer(value, octetString);
  });
}

function substring({ attribute, initial, any, final }: Extract<Filter, { kind: 'substring' }>): FilterString {
  return new OctetFilter(0xa4, (writer) => {
    writer.writeString(checkAttribute(attribute));
    writer.startSequence();
    if (initial) writer.writeBuffer(initial, 0x80);
    for (const part of any) {
      writer.writeBuffer(part, 0x81);
    }
    if (final) writer.writeBuffer(final, 0x82);
    writer.endSequence();
  });
}

function extensible(filter: Extract<Filter, { kind: 'extensible' }>): FilterString {
  return new OctetFilter(0xa9, (writer) => {
    if (filter.rule !== undefined) writer.writeString(checkAttribute(filter.rule), 0x81);
    if (filter.attribute !== undefined) writer.writeString(checkAttribute(filter.attribute), 0x82);
    writer.writeBuffer(filter.value, 0x83);
    if (filter.dnAttributes) writer.writeBoolean(true, 0x84);
  });
}

/** A name or an OID, with options. Underscores are no letters of RFC 4512, but schemas have them. */
const attributePattern = /^(?:[a-z][\w-]*|\d+(?:\.\d+)*)(?:;[\w=*-]+)*$/i;

function checkAttribute(name: string): string {
  if (!attributePattern.test(name)) {
    throw new Error(`${JSON.stringify(name)} is not the name or OID of an LDAP attribute or matching rule`);
  }
  return name;
}

/** RFC 4511 section 4.5.1.8: also all attributes, none, and all operational ones (RFC 3673). */
function checkRequested(name: string): string {
  return name === '*' || name === '+' ? name : checkAttribute(name);
}

export interface Element {
  readonly tag: number;
  /** Shares the memory of the bytes that were read. */
  readonly content: Buffer;
}

/** How many more elements may be read: small ones cost much more memory than their bytes. */
export interface Budget {
  elements: number;
}

/**
 * The BER elements that follow one another in `bytes`.
 *
 * @throws WireError when they are not whole, or when there are more than the budget has left
 */
export function readElements(bytes: Buffer, budget: Budget): Element[] {
  const reader = new asn1.BerReader(bytes);
  const elements: Element[] = [];
  for (let tag = reader.peek(); tag !== null; tag = reader.peek()) {
    budget.elements -= 1;
    if (budget.elements < 0) throw new WireError('too-large', 'there are too many attributes or values');
    const start = valueOffset(reader);
    const end = start + reader.length;
    if (reader.length < 0 || end > bytes.length) {
      throw new WireError('protocol', 'an element is longer than what it is in');
    }
    elements.push({ tag, content: bytes.subarray(start, end) });
    reader.setOffset(end);
  }
  return elements;
}

function valueOffset(reader: InstanceType<typeof asn1.BerReader>): number {
  let offset: number | null = null;
  try {
    offset = reader.readLength(reader.offset + 1);
  } catch {
    // An indefinite length, or one of more than four bytes, is as unreadable as one that is cut off.
  }
  if (offset === null) throw new WireError('protocol', 'an element has no readable length');
  return offset;
}

/**
 * ldapjs is pinned, but the packages that it is made of are not. So what the plugin relies on is tried once: a base DN
 * with a backslash, an attribute by its OID, values that are not UTF-8, the control, a length of four bytes (as AD
 * writes it).
 *
 * @throws Error when any of it has changed
 */
export function checkCodec(): void {
  const value = Buffer.from('ff005c', 'hex');
  const filters = [
    { kind: 'equality', attribute: 'a', value },
    { kind: 'approximate', attribute: 'b', value },
  ] as const;
  const filter = { kind: 'and', filters } as const;
  const search = encodeSearch(7, { base: 'b=\\5C', scope: 'sub', filter, attributes: ['2.5'], sizeLimit: 2 });
  const bind = encodeBind(7, { dn: 'b=\\5C', password: 'p' });
  const written = Buffer.concat([search, bind]).toString('latin1');
  const expected =
    '0\x38\x02\x01\x07c\x33\x04\x05b=\\5C\x0a\x01\x02\x0a\x01\0\x02\x01\x02\x02\x01\0\x01\x01\0' +
    '\xa0\x14\xa3\x08\x04\x01a\x04\x03\xff\0\\\xa8\x08\x04\x01b\x04\x03\xff\0\\0\x05\x04\x032.5' +
    '0\x34\x02\x01\x07`\x0d\x02\x01\x03\x04\x05b=\\5C\x80\x01p' +
    '\xa0\x200\x1e\x04\x191.3.6.1.4.1.42.2.27.8.5.1\x01\x01\0';
  const [read] = readElements(Buffer.from('8084000000020500', 'hex'), { elements: 1 });
  if (written !== expected || read?.tag !== 0x80 || read.content.toString('hex') !== '0500') {
    throw new Error(
      'ldapjs reads or writes LDAP differently from version 3.0.7 with the packages that it was tested with: ' +
        'install what the lockfile has (@ldapjs/asn1 2.0.0, @ldapjs/messages 1.3.0, @ldapjs/filter 2.1.1, @ldapjs/controls 2.1.0)',
    );
  }
}
