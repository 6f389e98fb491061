import asn1, { type BerWriter } from '@ldapjs/asn1';
import ldapjs, { type FilterString, type LdapMessage } from 'ldapjs';
import type { Filter } from '../filter/types.ts';
import type { BindCredentials, SearchRequest } from './types.ts';
import { WireError } from './wire-error.ts';

// All that the plugin knows of ldapjs is in this file: requests are written by its message classes, answers are taken
// apart with its BER reader. Its client is never made, and its readers of whole messages aren't used: they read past the
// element that they are in, take what is cut off for `null`, and a result code without a byte for 0, which is success.

/** The OID of StartTLS (RFC 4511 section 4.14.1). */
export const startTlsName = '1.3.6.1.4.1.1466.20037';

/** Simple, with the password policy control (draft-behera-ldap-password-policy-11 section 6.1), not critical. */
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
  // A DN given as text would be parsed and written anew, and lose backslashes.
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
  if (readElements(bytes, { elements: 1 }).length !== 1) {
    throw new Error('the LDAP request could not be written');
  }
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
    if (initial) {
      writer.writeBuffer(initial, 0x80);
    }
    for (const part of any) {
      writer.writeBuffer(part, 0x81);
    }
    if (final) {
      writer.writeBuffer(final, 0x82);
    }
    writer.endSequence();
  });
}

function extensible(filter: Extract<Filter, { kind: 'extensible' }>): FilterString {
  return new OctetFilter(0xa9, (writer) => {
    if (filter.rule !== undefined) {
      writer.writeString(checkAttribute(filter.rule), 0x81);
    }
    if (filter.attribute !== undefined) {
      writer.writeString(checkAttribute(filter.attribute), 0x82);
    }
    writer.writeBuffer(filter.value, 0x83);
    if (filter.dnAttributes) {
      writer.writeBoolean(true, 0x84);
    }
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

/** How many more elements may be read: small ones cost much more memory than the bytes that they came in. */
export interface Budget {
  elements: number;
}

/**
 * The BER elements that stand one after the other in `bytes`.
 *
 * @throws WireError when they are not whole, or when there are more than the budget has left
 */
export function readElements(bytes: Buffer, budget: Budget): Element[] {
  const reader = new asn1.BerReader(bytes);
  const elements: Element[] = [];
  for (let tag = reader.peek(); tag !== null; tag = reader.peek()) {
    budget.elements -= 1;
    if (budget.elements < 0) {
      throw new WireError('too-large', 'there are too many attributes or values');
    }
    const start = valueOffset(reader);
    const end = start + reader.length;
    if (reader.length < 0 || end > bytes.length) {
      throw new WireError('protocol', 'an element is longer than what it stands in');
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
    // As cut off: an indefinite length, or one of more than four bytes.
  }
  if (offset === null) {
    throw new WireError('protocol', 'an element has no readable length');
  }
  return offset;
}
