import { isObjectIdentifier } from './attribute-description.ts';

/** One `attribute=value` of a DN. */
export interface AttributeValue {
  /** A name or an OID, as spelled. */
  readonly attribute: string;
  /** The bytes that the spelling encodes. */
  readonly value: Buffer;
}

/** The parts of one level of a DN: one, or several joined with `+`. */
export type Rdn = readonly AttributeValue[];

/** An RDN with the index after it: that of its separator, or the length of the text. */
export interface RdnWithEnd {
  readonly rdn: Rdn;
  readonly end: number;
}

/**
 * Reads a DN in its string form (RFC 4514), also as Active Directory spells it (`\ `, `\#`) and as LDAPv2 did (RFC 2253
 * section 4: spaces around separators, `;`, `OID.` and values in quotes). No byte of a value is lost or changed.
 *
 * @returns from the entry up to the root, [] for ''; undefined when it is no DN
 */
export function parseDn(text: string): Rdn[] | undefined {
  return readDn(text)?.map(({ rdn }) => rdn);
}

/** The entry's own level. Undefined for the empty DN, and for a text that is no DN. */
export function firstRdn(dn: string): Rdn | undefined {
  return parseDn(dn)?.[0];
}

/**
 * Whether an entry is the base or lies below it. Names of attributes are compared without regard to case. So are values,
 * and spaces at their ends and runs of spaces do not count, as in `caseIgnoreMatch` (RFC 4518). Values that only some
 * directories take for equal (`é` as one character or two, wide letters, ligatures) differ: for 389-DS they are another
 * entry, perhaps of another user. An OID and the name of the same attribute differ, too. A text that is no DN is below
 * nothing, and nothing is below it.
 */
export function isBelow(dn: string, base: string): boolean {
  const lower = parseDn(dn);
  const upper = parseDn(base);
  if (lower === undefined || upper === undefined || lower.length < upper.length) return false;
  const above = lower.slice(lower.length - upper.length);
  return upper.every((rdn, level) => comparable(rdn) === comparable(above[level] ?? []));
}

/** Equal for RDNs that are equal, in whatever order their parts are. */
function comparable(rdn: Rdn): string {
  return JSON.stringify(
    rdn.map((part) => [part.attribute.toLowerCase(), comparableValue(part.value)].join('=')).sort(),
  );
}

function comparableValue(value: Buffer): string {
  const text = value.toString('utf8');
  if (!Buffer.from(text).equals(value)) return `not UTF-8: ${value.toString('hex')}`;
  return `text: ${lowerCase(text).replace(/ +/g, ' ').replace(/^ | $/g, '')}`;
}

/** Changes only letters whose upper case is the same letter again: the Kelvin sign is no `K`. */
function lowerCase(text: string): string {
  return text.replace(/\p{Lu}/gu, (letter) => {
    const lower = letter.toLowerCase();
    return lower.toUpperCase() === letter ? lower : letter;
  });
}

interface Read<Value> {
  readonly value: Value;
  /** The index after it. */
  readonly end: number;
}

/** UTF-16 units. No directory has longer DNs. */
const maxDnLength = 65_536;

/** @returns the levels of a DN, from the entry up to the root; undefined when it is no DN */
export function readDn(text: string): RdnWithEnd[] | undefined {
  if (!text.isWellFormed() || text.length > maxDnLength) return undefined;
  if (/^ *$/.test(text)) return [];
  const levels: RdnWithEnd[] = [];
  for (let at = 0; at <= text.length; at++) {
    const level = readRdn(text, at);
    if (level === undefined) return undefined;
    levels.push({ rdn: level.value, end: level.end });
    at = level.end;
  }
  return levels;
}

function readRdn(text: string, start: number): Read<Rdn> | undefined {
  const parts: AttributeValue[] = [];
  for (let at = start; ; at++) {
    const part = readAttributeValue(text, at);
    if (part === undefined) return undefined;
    parts.push(part.value);
    at = part.end;
    if (text[at] !== '+') return { value: parts, end: at };
  }
}

const type = / *(?:OID\.(?=\d))?(?<attribute>[A-Za-z0-9.-]+) *= */iy;
const quoted = /"(?<inside>(?:[^"\\]|\\.)*)" *(?=[,;+]|$)/sy;
const hexadecimal = /#(?<digits>(?:[0-9A-Fa-f]{2})+) *(?=[,;+]|$)/y;
const plain = /(?:[^\\,;+"<>\0]|\\.)*/sy;

function readAttributeValue(text: string, start: number): Read<AttributeValue> | undefined {
  const named = matchAt(type, text, start);
  const attribute = named?.groups.attribute;
  if (attribute === undefined || named === undefined || !isObjectIdentifier(attribute)) return undefined;
  const read = readValue(text, named.end);
  if (read === undefined || !/^[,;+]?$/.test(text.charAt(read.end))) return undefined;
  return { value: { attribute, value: read.value }, end: read.end };
}

function readValue(text: string, start: number): Read<Buffer> | undefined {
  if (text[start] === '"') return decoded(matchAt(quoted, text, start), ({ inside = '' }) => unescapeValue(inside));
  if (text[start] === '#') return decoded(matchAt(hexadecimal, text, start), ({ digits = '' }) => unwrapBer(digits));
  return decoded(matchAt(plain, text, start), ({ whole = '' }) => unescapeValue(withoutEndingSpaces(whole)));
}

interface Match {
  readonly groups: Readonly<Record<string, string | undefined>>;
  readonly end: number;
}

function matchAt(expression: RegExp, text: string, at: number): Match | undefined {
  expression.lastIndex = at;
  const match = expression.exec(text);
  return match ? { groups: { ...match.groups, whole: match[0] }, end: expression.lastIndex } : undefined;
}

function decoded(
  match: Match | undefined,
  decode: (groups: Match['groups']) => Buffer | undefined,
): Read<Buffer> | undefined {
  const value = match && decode(match.groups);
  return match && value && { value, end: match.end };
}

/** Spaces before a separator do not count, but one behind a backslash does. */
function withoutEndingSpaces(spelling: string): string {
  let end = spelling.length;
  while (spelling[end - 1] === ' ') end--;
  let backslashes = 0;
  while (spelling[end - 1 - backslashes] === '\\') backslashes++;
  return spelling.slice(0, backslashes % 2 === 1 ? end + 1 : end);
}

/** Each backslash must precede a special character or the two hexadecimal digits of a byte. */
function unescapeValue(spelling: string): Buffer | undefined {
  if (!spelling.includes('\\')) return Buffer.from(spelling);
  if (!/^(?:[^\\]|\\[\\"+,;<> #=]|\\[0-9A-Fa-f]{2})*$/s.test(spelling)) return undefined;
  const pieces = spelling.match(/\\[0-9A-Fa-f]{2}|\\.|[^\\]+/gs) ?? [];
  return Buffer.concat(pieces.map(bytesOf));
}

function bytesOf(piece: string): Buffer {
  if (!piece.startsWith('\\')) return Buffer.from(piece);
  return piece.length === 3 ? Buffer.from(piece.slice(1), 'hex') : Buffer.from(piece.slice(1));
}

/** OCTET STRING, UTF8String, PrintableString, TeletexString, IA5String: the types that names have. */
const stringTags = [0x04, 0x0c, 0x13, 0x14, 0x16];

/** The content of a string in BER, as it follows `#` (RFC 4514 section 2.4). Undefined for another type. */
function unwrapBer(digits: string): Buffer | undefined {
  const [tag = 0, length = 0x80, ...rest] = Buffer.from(digits, 'hex');
  if (!stringTags.includes(tag)) return undefined;
  const lengthBytes = length > 0x80 ? length - 0x80 : 0;
  const count = lengthBytes === 0 ? length : rest.slice(0, lengthBytes).reduce((sum, byte) => sum * 256 + byte, 0);
  const content = Buffer.from(rest.slice(lengthBytes));
  return length === 0x80 || content.length !== count ? undefined : content;
}
