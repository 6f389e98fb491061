import { AuthenticatorError } from '@sallyport/authenticator';
import type { Entry } from '../connection/types.ts';

/**
 * The DN as the directory spells it.
 *
 * @throws AuthenticatorError `failed` when it is empty (a bind with it would be anonymous) or not UTF-8
 */
export function entryDn({ dn }: Entry, what: string): string {
  if (dn !== undefined && dn !== '') return dn;
  const bad = dn === '' ? 'an empty DN' : 'a DN that is not UTF-8';
  throw new AuthenticatorError('failed', `the directory gave ${bad} for ${what}: look at the entry there`);
}

/**
 * The values of an attribute, none if the entry does not show it.
 *
 * @param attribute in any case, options such as `;binary` included
 * @throws AuthenticatorError `failed` when the server gave only a part of them, as Active Directory does beyond 1,500
 *   (`member;range=0-1499`, MS-ADTS section 3.1.1.3.1.3.3): the rest would be missing without a trace
 */
export function valuesOf(entry: Entry, attribute: string): readonly Buffer[] {
  const key = attribute.toLowerCase();
  const values = entry.attributes.get(key);
  if (values !== undefined && values.length > 0) return values;
  const isCut = [...entry.attributes.keys()].some((other) => other.startsWith(`${key};range=`));
  if (!isCut) return [];
  const why = 'the entry has more values than the server shows at once; for groups, search for them by groups.filter';
  throw new AuthenticatorError('failed', `the server gave a part of the attribute ${attribute} of ${entry.dn}: ${why}`);
}

/** The same as text. @throws AuthenticatorError `failed`, also when a value is no text */
export function textsOf(entry: Entry, attribute: string): readonly string[] {
  return valuesOf(entry, attribute).map((value) => textOf(entry, attribute, value));
}

/**
 * The only value. Several have no order, so none of them can be chosen.
 *
 * @returns undefined when there is none, or it is empty
 * @throws AuthenticatorError `failed` when there are several
 */
export function onlyText(entry: Entry, attribute: string): string | undefined {
  const [text, ...more] = textsOf(entry, attribute);
  if (more.length === 0) return text || undefined;
  const problem = `${entry.dn} has ${more.length + 1} values of the attribute ${attribute}, which must have one`;
  throw new AuthenticatorError('failed', `${problem}: name an attribute with a single value, or fix the entry`);
}

/** @throws AuthenticatorError `failed`, which quotes nothing of the value */
function textOf({ dn }: Entry, attribute: string, value: Buffer): string {
  try {
    return attributeText(attribute, value);
  } catch (error) {
    const problem = error instanceof Error ? error.message : 'a value is no text';
    throw new AuthenticatorError('failed', `${problem}: look at the entry ${dn}`, { cause: error });
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Attributes of Active Directory that are bytes, in lower case, and how each is written. */
const binaryForms: Readonly<Record<string, (value: Buffer) => string | undefined>> = {
  objectguid: guidText,
  'ms-ds-consistencyguid': guidText,
  objectsid: sidText,
  sidhistory: sidText,
};

/**
 * The text of an attribute's value: GUIDs and SIDs of Active Directory in their usual form, all others as UTF-8.
 *
 * @param attribute its name in any case, options such as `;binary` allowed
 * @throws Error naming the attribute when the value is no text; it quotes nothing of the value
 */
export function attributeText(attribute: string, value: Buffer): string {
  const [name = ''] = attribute.toLowerCase().split(';');
  const form = Object.hasOwn(binaryForms, name) ? binaryForms[name] : undefined;
  const text = form === undefined ? plainText(value) : form(value);
  if (text !== undefined) return text;
  const what = form === undefined ? 'text' : form === guidText ? 'GUID of 16 bytes' : 'SID';
  throw new Error(`a value of the attribute ${attribute} is no ${what} (${value.length} bytes)`);
}

/** Control characters other than line breaks and tabs show bytes that only happen to be UTF-8. */
function plainText(value: Buffer): string | undefined {
  try {
    const text = utf8.decode(value);
    return /(?![\t\n\r])\p{Cc}/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/**
 * The value that {@link attributeText} writes as this text, for a search.
 *
 * @returns undefined when no value is written so
 */
export function attributeValue(attribute: string, text: string): Buffer | undefined {
  const [name = ''] = attribute.toLowerCase().split(';');
  const form = Object.hasOwn(binaryForms, name) ? binaryForms[name] : undefined;
  const value = form === undefined ? Buffer.from(text) : form === guidText ? guidBytes(text) : sidBytes(text);
  if (form === undefined) return text === '' || !text.isWellFormed() ? undefined : value;
  return value !== undefined && form(value) === text ? value : undefined;
}

function guidBytes(text: string): Buffer {
  const [one, two, three, four, five] = text.split('-').map((part) => Buffer.from(part, 'hex'));
  const parts = [one?.reverse(), two?.reverse(), three?.reverse(), four, five];
  return Buffer.concat(parts.filter((part) => part !== undefined));
}

function sidBytes(text: string): Buffer | undefined {
  const [authority, ...subAuthorities] = text.split('-').slice(2).map(Number);
  const isWritten = [authority, ...subAuthorities].every((part) => Number.isSafeInteger(part));
  if (!isWritten || authority === undefined || authority >= 2 ** 48 || subAuthorities.length > 15) return undefined;
  const value = Buffer.alloc(8 + 4 * subAuthorities.length);
  value[0] = 1;
  value[1] = subAuthorities.length;
  value.writeUIntBE(authority, 2, 6);
  for (const [index, part] of subAuthorities.entries()) value.writeUInt32LE(part % 2 ** 32, 8 + 4 * index);
  return value;
}

/** As Microsoft writes GUIDs: the first three groups have their bytes reversed (MS-DTYP section 2.3.4). */
function guidText(value: Buffer): string | undefined {
  if (value.length !== 16) return undefined;
  const reversed = (start: number, end: number) => Buffer.from(value.subarray(start, end)).reverse().toString('hex');
  const [one, two, three] = [reversed(0, 4), reversed(4, 6), reversed(6, 8)];
  return [one, two, three, value.toString('hex', 8, 10), value.toString('hex', 10)].join('-');
}

/** `S-1-` with the authority and up to 15 sub-authorities (MS-DTYP sections 2.4.2.1 and 2.4.2.2). */
function sidText(value: Buffer): string | undefined {
  if (value.length < 8 || value[0] !== 1) return undefined;
  const count = value[1] ?? 0;
  if (count < 1 || count > 15 || value.length !== 8 + 4 * count) return undefined;
  const authority = value.readUIntBE(2, 6);
  const authorityText = authority < 2 ** 32 ? String(authority) : `0x${value.toString('hex', 2, 8).toUpperCase()}`;
  const subAuthorities = Array.from({ length: count }, (_, index) => value.readUInt32LE(8 + 4 * index));
  return ['S', 1, authorityText, ...subAuthorities].join('-');
}
