import { isAttributeDescription } from './attribute-description.ts';
import { TemplateError } from './template-error.ts';

/** The parts of a value in their order. Empty: no bytes. */
export type ValueTemplate = readonly ValuePart[];
export type ValuePart = Buffer | Placeholder;

/** `{username}`, `{dn}` or `{attribute:NAME}`, without its braces. */
export interface Placeholder {
  readonly placeholder: string;
  /** Where in the template it is. */
  readonly index: number;
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

export interface ValueText {
  readonly pieces: readonly Piece[];
  /** The index after the value. */
  readonly end: number;
}

/**
 * Reads one value of a filter's text, from after its operator to the closing parenthesis or the end of the text.
 *
 * @throws TemplateError
 */
export function readValue(text: string, start: number): ValueText {
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
export function betweenAsterisks(pieces: ValueText['pieces']): ValueTemplate[] {
  const parts: ValuePart[][] = [[]];
  for (const { part } of pieces) {
    if (part === '*') parts.push([]);
    else parts.at(-1)?.push(part);
  }
  return parts.map(joinBytes);
}

/** @throws TemplateError when there is an asterisk */
export function wholeValue(text: string, pieces: ValueText['pieces']): ValueTemplate {
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
