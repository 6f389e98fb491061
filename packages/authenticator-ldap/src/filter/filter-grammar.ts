import { isAttributeDescription, isObjectIdentifier } from './distinguished-name.ts';
import { type Assertion, anyEntry, type FilterOf } from './filter.ts';
import { TemplateError } from './templates.ts';

/** The parts of a value in their order: bytes, and names of placeholders. */
export type ValueTemplate = readonly ValuePart[];
type ValuePart = Buffer | string;

/** The limit in characters. Useful filters are far shorter. */
const maxLength = 16_384;
/** The limit for filters in filters. */
const maxDepth = 32;

const operators = {
  '=': 'equality',
  '>=': 'greater-or-equal',
  '<=': 'less-or-equal',
  '~=': 'approximate',
} as const;

/** Says what to write in place of a placeholder, by its name without braces. @returns undefined when it is allowed */
export type PlaceholderCheck = (placeholder: string) => string | undefined;

interface Cursor {
  readonly text: string;
  at: number;
  readonly allowed: PlaceholderCheck | undefined;
}

/**
 * Reads a filter in its string form (RFC 4515), with placeholders in its values. Unlike the
 * standard, it allows spaces and line breaks between filters, as in YAML texts of several lines.
 *
 * @param allowed without it each placeholder matches any text, as an asterisk does
 * @throws TemplateError
 */
export function parseFilter(text: string, allowed?: PlaceholderCheck): FilterOf<ValueTemplate> {
  if (text.length > maxLength) {
    throw new TemplateError(
      text,
      maxLength,
      'the filter is too long',
      `write at most ${maxLength} characters`,
    );
  }
  const malformed = /\p{Surrogate}/u.exec(text);
  if (malformed)
    throw new TemplateError(text, malformed.index, 'half a character', 'save the file as UTF-8');
  const cursor = { text, at: 0, allowed };
  skipSpace(cursor);
  const filter = parseOne(cursor, 0);
  if (cursor.at === text.length) return filter;
  const fix = 'put filters together, as in (&(uid={username})(objectClass=person))';
  throw errorAt(cursor, 'something follows the filter', fix);
}

function parseOne(cursor: Cursor, depth: number): FilterOf<ValueTemplate> {
  if (depth > maxDepth)
    throw errorAt(cursor, 'filters are nested too deep', `nest at most ${maxDepth}`);
  if (cursor.text[cursor.at] !== '(') {
    throw errorAt(
      cursor,
      'no filter begins here',
      'put each filter in parentheses, such as (uid={username})',
    );
  }
  cursor.at++;
  const filter = parseContent(cursor, depth);
  if (cursor.text[cursor.at] !== ')') {
    throw errorAt(
      cursor,
      'a ) is missing',
      'close each parenthesis; in a value write \\28 for ( and \\29 for )',
    );
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
  const filter = parseOne(cursor, depth + 1);
  if (operator === '!') return { kind: 'not', filter };
  const filters = [filter];
  while (cursor.text[cursor.at] === '(') filters.push(parseOne(cursor, depth + 1));
  return { kind: operator === '&' ? 'and' : 'or', filters };
}

function parseAssertion(cursor: Cursor): Assertion<ValueTemplate> {
  const { text, at: start } = cursor;
  const [attributePart = ''] = /^[^=<>~()]*/.exec(text.slice(start)) ?? [];
  cursor.at += attributePart.length;
  const [operator] = /^[<>~]?=/.exec(text.slice(cursor.at)) ?? [];
  if (operator === undefined) {
    throw errorAt(
      cursor,
      'no = after the attribute',
      'write (attribute=value), such as (uid={username})',
    );
  }
  cursor.at += operator.length;
  if (operator === '=' && attributePart.endsWith(':'))
    return parseExtensible(cursor, attributePart, start);
  if (!isAttributeDescription(attributePart)) throw noAttribute(text, attributePart, start);
  if (operator === '=') return parseEqualityOrSubstring(cursor, attributePart);
  const value = readWhole(cursor);
  if (value === undefined) return { kind: 'present', attribute: attributePart };
  return { kind: operators[operator as keyof typeof operators], attribute: attributePart, value };
}

function parseEqualityOrSubstring(cursor: Cursor, attribute: string): Assertion<ValueTemplate> {
  const [initial = [], ...templates] = readValue(cursor).parts;
  const last = templates.pop();
  if (last === undefined) return { kind: 'equality', attribute, value: initial };
  const middle = templates.filter((segment) => segment.length > 0);
  if (middle.length < templates.length && cursor.allowed !== undefined)
    throw errorAt(cursor, 'two * in a row', 'write one');
  if (middle.length === 0 && initial.length === 0 && last.length === 0)
    return { kind: 'present', attribute };
  return {
    kind: 'substring',
    attribute,
    ...(initial.length > 0 && { initial }),
    any: middle,
    ...(last.length > 0 && { final: last }),
  };
}

/** Reads `attribute:dn:rule:=value`. Either attribute or rule may be missing, and `:dn` as well. */
function parseExtensible(
  cursor: Cursor,
  attributePart: string,
  start: number,
): Assertion<ValueTemplate> {
  const { text } = cursor;
  const [attribute = '', ...flags] = attributePart.slice(0, -1).split(':');
  const dnAttributes = flags[0]?.toLowerCase() === 'dn';
  const [rule, ...surplus] = dnAttributes ? flags.slice(1) : flags;
  if (attribute !== '' && !isAttributeDescription(attribute))
    throw noAttribute(text, attribute, start);
  const isBad =
    surplus.length > 0 || (rule === undefined ? attribute === '' : !isObjectIdentifier(rule));
  if (isBad) {
    const fix = 'write (member:1.2.840.113556.1.4.1941:={dn}) or (ou:dn:=people)';
    throw new TemplateError(text, start, 'no matching rule', fix);
  }
  const value = readWhole(cursor);
  if (value === undefined) return attribute === '' ? anyEntry : { kind: 'present', attribute };
  return {
    kind: 'extensible',
    ...(attribute !== '' && { attribute }),
    ...(rule && { rule }),
    dnAttributes,
    value,
  };
}

/** Reads a value that must not contain an asterisk. @returns undefined when it has one, in place of a placeholder */
function readWhole(cursor: Cursor): ValueTemplate | undefined {
  const { parts: templates, asterisk } = readValue(cursor);
  if (asterisk === undefined) return templates[0] ?? [];
  if (cursor.allowed === undefined) return undefined;
  throw new TemplateError(
    cursor.text,
    asterisk,
    '* has no meaning after this operator',
    'write \\2a for it',
  );
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

/** Reads a value up to its closing parenthesis: the parts between asterisks, and the index of the first asterisk. */
function readValue(cursor: Cursor): {
  readonly parts: readonly ValueTemplate[];
  readonly asterisk?: number;
} {
  const { text } = cursor;
  let last: ValuePart[] = [];
  const templates = [last];
  let asterisk: number | undefined;
  while (cursor.at < text.length && text[cursor.at] !== ')') {
    token.lastIndex = cursor.at;
    const groups = token.exec(text)?.groups;
    if (groups === undefined) {
      const character = text[cursor.at] ?? '';
      throw errorAt(
        cursor,
        `${JSON.stringify(character)} is not allowed here`,
        fixes[character] ?? '',
      );
    }
    const segment = readSegment(groups, cursor);
    const previousSegment = last.at(-1);
    if (segment === undefined) {
      asterisk ??= cursor.at;
      last = [];
      templates.push(last);
    } else if (Buffer.isBuffer(segment) && Buffer.isBuffer(previousSegment))
      last[last.length - 1] = Buffer.concat([previousSegment, segment]);
    else last.push(segment);
    cursor.at = token.lastIndex;
  }
  return { parts: templates, ...(asterisk !== undefined && { asterisk }) };
}

/** Reads one part of a value. @returns undefined for an asterisk */
function readSegment(
  groups: Record<string, string | undefined>,
  cursor: Cursor,
): ValuePart | undefined {
  const { escaped, placeholder, literal } = groups;
  if (escaped !== undefined) return Buffer.from(escaped, 'hex');
  if (literal !== undefined) return Buffer.from(literal);
  if (placeholder === undefined || cursor.allowed === undefined) return undefined;
  const attribute = /^attribute:(.*)$/s.exec(placeholder)?.[1];
  if (attribute !== undefined && !isAttributeDescription(attribute)) {
    const fix =
      'write {attribute:NAME}, with an attribute of the user, such as {attribute:uidNumber}';
    throw errorAt(cursor, `"${attribute}" is not an attribute`, fix);
  }
  const fix = cursor.allowed(placeholder);
  if (fix !== undefined) throw errorAt(cursor, `{${placeholder}} is not allowed here`, fix);
  return placeholder;
}

function skipSpace(cursor: Cursor): void {
  while (/[ \t\r\n]/.test(cursor.text[cursor.at] ?? '')) cursor.at++;
}

function noAttribute(text: string, attribute: string, start: number): TemplateError {
  const problem =
    attribute === '' ? 'no attribute before the operator' : `"${attribute}" is not an attribute`;
  return new TemplateError(
    text,
    start,
    problem,
    'write its name (letters, digits, dashes) or OID, without spaces or placeholders',
  );
}

function errorAt(cursor: Cursor, problem: string, fix: string): TemplateError {
  return new TemplateError(cursor.text, cursor.at, problem, fix);
}
