import { isUtf8 } from 'node:buffer';
import type { LdapEntry } from '../connection/types.ts';
import { loginError } from '../login-error.ts';

/**
 * Returns the DN.
 *
 * @throws AuthenticatorError `failed` when it is empty (a bind with it would be anonymous) or not
 *   UTF-8
 */
export function entryDn({ dn }: LdapEntry, description: string): string {
  if (dn !== undefined && dn !== '') return dn;
  const problem = dn === '' ? 'an empty DN' : 'a DN that is not UTF-8';
  throw loginError(`the directory gave ${problem} for ${description}`, 'look at the entry there');
}

/**
 * Returns the values of an attribute, none if the entry does not show it.
 *
 * @param attribute in any case, options such as `;binary` included
 * @throws AuthenticatorError `failed` when the server gave only a part of them, as Active Directory does beyond 1,500
 *   (`member;range=0-1499`, MS-ADTS section 3.1.1.3.1.3.3): the rest would be missing without a trace
 */
export function readValues(entry: LdapEntry, attribute: string): readonly Buffer[] {
  const key = attribute.toLowerCase();
  const values = entry.attributes.get(key);
  if (values !== undefined && values.length > 0) return values;
  const isCut = [...entry.attributes.keys()].some((name) => name.startsWith(`${key};range=`));
  if (!isCut) return [];
  throw loginError(
    `the server gave a part of the attribute ${attribute} of ${entry.dn}`,
    'the entry has more values than the server sends in one answer; for groups, search for them by groups.filter',
  );
}

/**
 * Returns the values as text.
 *
 * @throws AuthenticatorError `failed`, as `readValues` and for a value that is not text, unquoted
 */
export function readTexts(entry: LdapEntry, attribute: string): readonly string[] {
  return readValues(entry, attribute).map((value) => {
    const form = findForm(attribute);
    const text = form.write(value);
    if (text !== undefined) return text;
    const problem = `a value of the attribute ${attribute} is not ${form.what} (${value.length} bytes)`;
    throw loginError(problem, `look at the entry ${entry.dn}`);
  });
}

/**
 * Returns the only value, if it is not empty.
 *
 * @throws AuthenticatorError `failed` for several values, which have no order
 */
export function onlyText(entry: LdapEntry, attribute: string): string | undefined {
  const [text, ...surplus] = readTexts(entry, attribute);
  if (surplus.length === 0) return text || undefined;
  throw loginError(
    `${entry.dn} has ${surplus.length + 1} values of the attribute ${attribute}, which must have one`,
    'name an attribute with a single value, or fix the entry',
  );
}

/**
 * Finds the value that {@link readTexts} writes as this text, for a search.
 *
 * @returns undefined when no value is written so
 */
export function attributeValue(attribute: string, text: string): Buffer | undefined {
  const { read: parse, write } = findForm(attribute);
  const value = parse(text);
  return value.length > 0 && write(value) === text ? value : undefined;
}

interface Form {
  readonly what: string;
  write(value: Buffer): string | undefined;
  /** Returns the bytes of a text that `write` made, and any bytes for another text. */
  read(text: string): Buffer;
}

const plain: Form = {
  what: 'text',
  write(value) {
    const text = value.toString();
    // Control characters other than line breaks and tabs show bytes that only happen to be UTF-8.
    return isUtf8(value) && !/(?![\t\n\r])\p{Cc}/u.test(text) ? text : undefined;
  },
  read: (text) => Buffer.from(text),
};

/** The order of the bytes of a GUID: those of the first three groups are reversed (MS-DTYP section 2.3.4). */
const guidOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
const reordered = (bytes: Buffer) => Buffer.from(guidOrder.map((from) => bytes[from] ?? 0));

const guid: Form = {
  what: 'a GUID of 16 bytes',
  write(value) {
    if (value.length !== 16) return undefined;
    const digits = reordered(value).toString('hex');
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  },
  read: (text) => reordered(Buffer.from(text.replaceAll('-', ''), 'hex')),
};

/** A SID is `S-1-` with the authority and up to 15 sub-authorities (MS-DTYP sections 2.4.2.1 and 2.4.2.2). */
const sid: Form = {
  what: 'a SID',
  write(value) {
    const count = value[1] ?? 0;
    if (value[0] !== 1 || count < 1 || count > 15 || value.length !== 8 + 4 * count)
      return undefined;
    const authority = value.readUIntBE(2, 6);
    const authorityText =
      authority < 2 ** 32 ? String(authority) : `0x${value.toString('hex', 2, 8).toUpperCase()}`;
    const subAuthorities = Array.from({ length: count }, (_, index) =>
      value.readUInt32LE(8 + 4 * index),
    );
    return ['S', 1, authorityText, ...subAuthorities].join('-');
  },
  read(text) {
    const [authority = Number.NaN, ...subAuthorities] = text.split('-').slice(2).map(Number);
    const value = Buffer.alloc(8 + 4 * subAuthorities.length);
    value[0] = 1;
    value[1] = subAuthorities.length;
    if (authority >= 0 && authority < 2 ** 48) value.writeUIntBE(Math.trunc(authority), 2, 6);
    for (const [index, subAuthority] of subAuthorities.entries())
      value.writeUInt32LE(subAuthority >>> 0, 8 + 4 * index);
    return value;
  },
};

/** A server answers a search for any other text with no entry (RFC 4530 section 2.1). */
const uuid: Form = {
  ...plain,
  read: (text) => Buffer.from(/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text) ? text : ''),
};

/** Attributes whose values are bytes, or have one form, in lower case. All others are UTF-8. */
const forms: ReadonlyMap<string, Form> = new Map([
  ['entryuuid', uuid],
  ['objectguid', guid],
  ['ms-ds-consistencyguid', guid],
  ['objectsid', sid],
  ['sidhistory', sid],
]);

function findForm(attribute: string): Form {
  return forms.get(attribute.toLowerCase().split(';')[0] ?? '') ?? plain;
}
