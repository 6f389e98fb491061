import { isUtf8 } from 'node:buffer';

const keyString = '[A-Za-z][A-Za-z0-9-]*';
const numericOid = String.raw`(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))+`;

/** The JSON Schema `pattern` of a name or OID, with options such as `;binary` (RFC 4512 section 2.5). */
export const attributeDescriptionPattern: string = `^(?:${keyString}|${numericOid})(?:;[A-Za-z0-9-]+)*$`;

const attributeDescription = new RegExp(attributeDescriptionPattern);
const objectIdentifier = new RegExp(`^(?:${keyString}|${numericOid})$`);

/**
 * Whether a text names an attribute, options such as `;binary` allowed (RFC 4512 section 2.5). `1.1` does not: servers
 * take it for "no attribute at all" (RFC 4511 section 4.5.1.8).
 */
export function isAttributeDescription(text: string): boolean {
  return text.length <= 255 && text !== '1.1' && attributeDescription.test(text);
}

/**
 * Whether a text is a short name or a dotted OID, as attribute types and matching rules have (RFC
 * 4512 section 1.4).
 */
export function isObjectIdentifier(text: string): boolean {
  return text.length <= 255 && objectIdentifier.test(text);
}

/** The parts of one level of a DN: one, or several joined with `+`. */
export type Rdn = readonly AttributeValue[];

interface AttributeValue {
  /** A name or an OID, as the DN spells it. */
  readonly attribute: string;
  readonly value: Buffer;
}

/**
 * Reads a DN in its string form (RFC 4514), as Active Directory spells it (`\ `, `\#`), or as
 * LDAPv2 did (RFC 2253 section 4: spaces around separators, `;`, `OID.` and values in quotes). No
 * byte of a value is lost or changed.
 *
 * @returns the levels from the entry up to the root, [] for '', undefined for a text that is not a DN
 */
export function parseDn(text: string): Rdn[] | undefined {
  return readDn(text)?.map(({ rdn }) => rdn);
}

/** Reads the entry's own level. @returns undefined for the empty DN, and for a text that is not a DN */
export function firstRdn(dn: string): Rdn | undefined {
  return parseDn(dn)?.[0];
}

/**
 * Whether an entry is the base or lies below it. Names of attributes are compared without regard to
 * case. So are values, and spaces at their ends and runs of spaces do not count, as in
 * `caseIgnoreMatch` (RFC 4518). Values that only some directories take for equal (`é` as one
 * character or two, wide letters, ligatures) differ: for 389-DS they are another entry, perhaps of
 * another user. An OID and the name of the same attribute differ, too. A text that is not a DN is
 * below nothing, and nothing is below it.
 */
export function isBelow(dn: string, base: string): boolean {
  const lower = parseDn(dn);
  const upper = parseDn(base);
  if (lower === undefined || upper === undefined || lower.length < upper.length) return false;
  const above = lower.slice(lower.length - upper.length);
  return upper.every((rdn, level) => comparable(rdn) === comparable(above[level] ?? []));
}

/** Makes a text that is the same for equal RDNs, in whatever order their parts are. */
function comparable(rdn: Rdn): string {
  return JSON.stringify(
    rdn
      .map((attributeValue) =>
        [attributeValue.attribute.toLowerCase(), comparableValue(attributeValue.value)].join('='),
      )
      .sort(),
  );
}

function comparableValue(value: Buffer): string {
  if (!isUtf8(value)) return `not UTF-8: ${value.toString('hex')}`;
  return `text: ${lowerCase(value.toString()).replace(/ +/g, ' ').replace(/^ | $/g, '')}`;
}

/** Changes only letters whose upper case is the same letter again: the Kelvin sign is not a `K`. */
function lowerCase(text: string): string {
  return text.replace(/\p{Lu}/gu, (letter) => {
    const lower = letter.toLowerCase();
    return lower.toUpperCase() === letter ? lower : letter;
  });
}

/** The limit for a DN in UTF-16 units. No directory has longer DNs. */
const maxDnLength = 65_536;

/**
 * Reads the levels of a DN, each with the index of the separator after it.
 *
 * @returns undefined for a text that is not a DN
 */
export function readDn(text: string): { readonly rdn: Rdn; readonly end: number }[] | undefined {
  if (!text.isWellFormed() || text.length > maxDnLength) return undefined;
  if (/^ *$/.test(text)) return [];
  let rdn: AttributeValue[] = [];
  const levels: { rdn: Rdn; end: number }[] = [];
  for (let index = 0; index <= text.length; index++) {
    const attributeValue = readPart(text, index);
    if (attributeValue === undefined) return undefined;
    rdn.push(attributeValue);
    index = pair.lastIndex;
    if (text[index] === '+') continue;
    levels.push({ rdn, end: index });
    rdn = [];
  }
  return levels;
}

const pair = new RegExp(
  [
    / *(?:OID\.(?=\d))?(?<attribute>[A-Za-z0-9.-]+) *= *(?! )/,
    /(?:"(?<quoted>(?:[^"\\]|\\.)*)" *|#(?<digits>(?:[0-9A-F]{2})+) *|(?<plain>(?!["#])(?:[^\\,;+"<>\0]|\\.)*))/,
    /(?=[,;+]|$)/,
  ]
    .map(({ source }) => source)
    .join(''),
  'isy',
);

/** Reads one part, and leaves the index after it in `pair`. */
function readPart(text: string, start: number): AttributeValue | undefined {
  pair.lastIndex = start;
  const { attribute = '', quoted, digits, plain = '' } = pair.exec(text)?.groups ?? {};
  if (!isObjectIdentifier(attribute)) return undefined;
  const value =
    digits === undefined ? unescapeValue(quoted ?? plain, quoted === undefined) : unwrapBer(digits);
  return value && { attribute, value };
}

/** Decodes the spelling of a value. @param endsBare ignores spaces at the end, unless a backslash precedes them */
function unescapeValue(spelling: string, endsBare: boolean): Buffer | undefined {
  const pieces = spelling.match(/\\[0-9A-Fa-f]{2}|\\[\\"+,;<> #=]|[^\\]+/gs) ?? [];
  if (pieces.join('').length !== spelling.length) return undefined;
  const last = pieces.at(-1) ?? '';
  if (endsBare && !last.startsWith('\\')) pieces.splice(-1, 1, withoutEndingSpaces(last));
  const bytes = pieces.map((piece) => {
    const text = piece.replace(/^\\/, '');
    return Buffer.from(text, piece.length === 3 && text !== piece ? 'hex' : 'utf8');
  });
  return Buffer.concat(bytes);
}

/** Removes spaces at the end in linear time, which no regular expression does. */
function withoutEndingSpaces(text: string): string {
  let end = text.length;
  while (text[end - 1] === ' ') end--;
  return text.slice(0, end);
}

/** The types that names have: OCTET STRING, UTF8String, PrintableString, TeletexString, IA5String. */
const stringTags = [0x04, 0x0c, 0x13, 0x14, 0x16];

/** Reads a string in BER, as it follows `#` (RFC 4514 section 2.4). @returns undefined for another type */
function unwrapBer(digits: string): Buffer | undefined {
  const [tag = 0, length = 0x80, ...bytes] = Buffer.from(digits, 'hex');
  if (!stringTags.includes(tag)) return undefined;
  const lengthBytes = length > 0x80 ? length - 0x80 : 0;
  const count =
    lengthBytes === 0
      ? length
      : bytes.slice(0, lengthBytes).reduce((sum, byte) => sum * 256 + byte, 0);
  const content = Buffer.from(bytes.slice(lengthBytes));
  return length === 0x80 || content.length !== count ? undefined : content;
}
