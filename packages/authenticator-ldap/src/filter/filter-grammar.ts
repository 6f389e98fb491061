import { isAttributeDescription, isObjectIdentifier } from './attribute-description.ts';
import type { Assertion, FilterOf } from './filter.ts';
import { TemplateError } from './template-error.ts';

/** The parts of a value in their order. Empty: no bytes. */
export type ValueTemplate = readonly ValuePart[];
type ValuePart = Buffer | Placeholder;

/** `{username}`, `{dn}` or `{attribute:NAME}`, without its braces. */
export interface Placeholder {
  readonly placeholder: string;
  /** Where in the template it is. */
  readonly index: number;
}

/** Characters. Useful filters are far shorter. */
const maxLength = 16_384;
/** Filters within filters. */
const maxDepth = 32;

const operators = { '=': 'equality', '>=': 'greater-or-equal', '<=': 'less-or-equal', '~=': 'approximate' } as const;
type Operator = keyof typeof operators;

/** Where in the text the parser is. */
interface Cursor {
  readonly text: string;
  at: number;
}

/**
 * Reads a filter in its string form (RFC 4515), with placeholders in its values. Besides the standard, spaces and line
 * breaks may be between filters, as in YAML texts of several lines.
 *
 * @throws TemplateError
 */
export function parseFilter(text: string): FilterOf<ValueTemplate> {
  if (text.length > maxLength) {
    throw new TemplateError(text, maxLength, 'the filter is too long', `write at most ${maxLength} characters`);
  }
  const malformed = /\p{Surrogate}/u.exec(text);
  if (malformed) throw new TemplateError(text, malformed.index, 'half a character', 'save the file as UTF-8');
  const cursor = { text, at: 0 };
  skipSpace(cursor);
  const filter = parseOne(cursor, 0);
  if (cursor.at === text.length) return filter;
  throw problem(
    cursor,
    'something follows the filter',
    'put filters together, as in (&(uid={username})(objectClass=person))',
  );
}

function parseOne(cursor: Cursor, depth: number): FilterOf<ValueTemplate> {
  if (depth > maxDepth) throw problem(cursor, 'filters are nested too deep', `nest at most ${maxDepth}`);
  if (cursor.text[cursor.at] !== '(') {
    throw problem(cursor, 'no filter begins here', 'put each filter in parentheses, such as (uid={username})');
  }
  cursor.at++;
  const filter = parseContent(cursor, depth);
  if (cursor.text[cursor.at] !== ')') {
    throw problem(cursor, 'a ) is missing', 'close each parenthesis; in a value write \\28 for ( and \\29 for )');
  }
  cursor.at++;
  skipSpace(cursor);
  return filter;
}

function parseContent(cursor: Cursor, depth: number): FilterOf<ValueTemplate> {
  const operator = cursor.text[cursor.at];
  if (operator !== '&' && operator !== '|' && operator !== '!') return parseAssertion(cursor);
  cursor.at++;
  skipSpace(cursor);
  if (operator === '!') return { kind: 'not', filter: parseOne(cursor, depth + 1) };
  const filters: FilterOf<ValueTemplate>[] = [parseOne(cursor, depth + 1)];
  while (cursor.text[cursor.at] === '(') filters.push(parseOne(cursor, depth + 1));
  return { kind: operator === '&' ? 'and' : 'or', filters };
}

function parseAssertion(cursor: Cursor): Assertion<ValueTemplate> {
  const { text, at: start } = cursor;
  const [left = ''] = /^[^=<>~()]*/.exec(text.slice(start)) ?? [];
  const brace = left.search(/[{}]/);
  if (brace !== -1) {
    const fix = 'placeholders are allowed after the = only';
    throw new TemplateError(text, start + brace, 'a placeholder outside a value', fix);
  }
  cursor.at += left.length;
  const [operator] = /^[<>~]?=/.exec(text.slice(cursor.at)) ?? [];
  if (operator === undefined) {
    throw problem(cursor, 'no = after the attribute', 'write (attribute=value), such as (uid={username})');
  }
  cursor.at += operator.length;
  if (operator === '=' && left.endsWith(':')) return parseExtensible(cursor, left, start);
  if (!isAttributeDescription(left)) throw noAttribute(text, left, start);
  if (operator === '=') return parseEqualityOrSubstring(cursor, left);
  return { kind: operators[operator as Operator], attribute: left, value: wholeValue(cursor.text, valueAt(cursor)) };
}

function parseEqualityOrSubstring(cursor: Cursor, attribute: string): Assertion<ValueTemplate> {
  const [first = [], ...rest] = betweenAsterisks(valueAt(cursor));
  const last = rest.pop();
  if (last === undefined) return { kind: 'equality', attribute, value: first };
  if (rest.length === 0 && first.length === 0 && last.length === 0) return { kind: 'present', attribute };
  if (rest.some((part) => part.length === 0)) throw problem(cursor, 'two * in a row', 'write one');
  return {
    kind: 'substring',
    attribute,
    ...(first.length > 0 && { initial: first }),
    any: rest,
    ...(last.length > 0 && { final: last }),
  };
}

/** `attribute:dn:rule:=value`, where attribute or rule, and always `:dn`, may be left out. */
function parseExtensible(cursor: Cursor, left: string, start: number): Assertion<ValueTemplate> {
  const { text } = cursor;
  const [attribute = '', ...others] = left.slice(0, -1).split(':');
  const dnAttributes = others[0]?.toLowerCase() === 'dn';
  const [rule, ...surplus] = dnAttributes ? others.slice(1) : others;
  if (attribute !== '' && !isAttributeDescription(attribute)) throw noAttribute(text, attribute, start);
  const isBad = surplus.length > 0 || (rule === undefined ? attribute === '' : !isObjectIdentifier(rule));
  if (isBad) {
    const fix = 'write (member:1.2.840.113556.1.4.1941:={dn}) or (ou:dn:=people)';
    throw new TemplateError(text, start, 'no matching rule', fix);
  }
  const value = wholeValue(text, valueAt(cursor));
  return { kind: 'extensible', ...(attribute !== '' && { attribute }), ...(rule && { rule }), dnAttributes, value };
}

/** The pieces of the text from here to the closing parenthesis. */
function valueAt(cursor: Cursor): ValueText['pieces'] {
  const { pieces, end } = readValue(cursor.text, cursor.at);
  cursor.at = end;
  return pieces;
}

function skipSpace(cursor: Cursor): void {
  while (/[ \t\r\n]/.test(cursor.text[cursor.at] ?? '')) cursor.at++;
}

function noAttribute(text: string, attribute: string, start: number): TemplateError {
  const what = attribute === '' ? 'no attribute before the operator' : `"${attribute}" is no attribute`;
  return new TemplateError(text, start, what, 'write its name (letters, digits, dashes) or OID, without spaces');
}

function problem({ text, at }: Cursor, what: string, fix: string): TemplateError {
  return new TemplateError(text, at, what, fix);
}

const token =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 4515 bars NUL from values
  /\\(?<escaped>[0-9A-Fa-f]{2})|\{(?<placeholder>[^{}()\\*]*)\}|(?<asterisk>\*)|(?<literal>[^\\{}()*\x00]+)/y;

const fixes: Readonly<Record<string, string>> = {
  '\\': 'a backslash begins two hexadecimal digits; write \\5c for the character itself',
  '{': 'a placeholder is {username}, {dn} or {attribute:NAME}; write \\7b for the character itself',
  '}': 'write \\7d for the character itself',
  '(': 'write \\28 for the character itself, or close the parenthesis before',
  '\0': 'write \\00 for the character itself',
};

/** A part of a value, or an asterisk, with its index in the template. */
interface Piece {
  readonly part: ValuePart | '*';
  readonly index: number;
}

interface ValueText {
  readonly pieces: readonly Piece[];
  /** The index after the value. */
  readonly end: number;
}

/**
 * Reads one value of a filter's text, from after its operator to the closing parenthesis or the end of the text.
 *
 * @throws TemplateError
 */
function readValue(text: string, start: number): ValueText {
  const pieces: Piece[] = [];
  let at = start;
  while (at < text.length && text[at] !== ')') {
    token.lastIndex = at;
    const groups = token.exec(text)?.groups;
    if (groups === undefined) {
      const character = text[at] ?? '';
      throw new TemplateError(text, at, `${JSON.stringify(character)} is not allowed here`, fixes[character] ?? '');
    }
    pieces.push({ part: partOf(groups, text, at), index: at });
    at = token.lastIndex;
  }
  return { pieces, end: at };
}

function partOf(groups: Record<string, string | undefined>, text: string, index: number): ValuePart | '*' {
  const { escaped, placeholder, literal } = groups;
  if (escaped !== undefined) return Buffer.from(escaped, 'hex');
  if (literal !== undefined) return Buffer.from(literal);
  if (placeholder === undefined) return '*';
  const attribute = /^attribute:(.*)$/s.exec(placeholder)?.[1];
  if (attribute === undefined || isAttributeDescription(attribute)) return { placeholder, index };
  const fix = 'write {attribute:NAME}, with an attribute of the user, such as {attribute:uidNumber}';
  throw new TemplateError(text, index, `"${attribute}" is no attribute`, fix);
}

/** The values before, between and after asterisks, at least one. */
function betweenAsterisks(pieces: ValueText['pieces']): ValueTemplate[] {
  const parts: ValuePart[][] = [[]];
  for (const { part } of pieces) {
    if (part === '*') parts.push([]);
    else parts.at(-1)?.push(part);
  }
  return parts.map(joinBytes);
}

/** @throws TemplateError when there is an asterisk */
function wholeValue(text: string, pieces: ValueText['pieces']): ValueTemplate {
  const asterisk = pieces.find(({ part }) => part === '*');
  if (asterisk === undefined) return betweenAsterisks(pieces)[0] ?? [];
  throw new TemplateError(text, asterisk.index, '* has no meaning after this operator', 'write \\2a for it');
}

function joinBytes(parts: readonly ValuePart[]): ValueTemplate {
  const joined: ValuePart[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (Buffer.isBuffer(part) && Buffer.isBuffer(last)) joined[joined.length - 1] = Buffer.concat([last, part]);
    else joined.push(part);
  }
  return joined;
}
