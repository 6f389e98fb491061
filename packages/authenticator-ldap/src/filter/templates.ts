import { isAttributeDescription, readDn } from './distinguished-name.ts';

/** A template of the config that can't be read. The message is the problem and the fix. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  /** The problem, with its column. */
  readonly problem: string;
  readonly fix: string;

  /** @param index the place in the text, in UTF-16 units. The column in the message counts characters from 1 */
  constructor(text: string, index: number, problem: string, fix: string) {
    const placed = `column ${[...text.slice(0, index)].length + 1}: ${problem}`;
    super(`${placed}: ${fix}`);
    this.problem = placed;
    this.fix = fix;
  }
}

export interface NameTemplate {
  /** The attributes as written, each once. `dn` is not an attribute but the DN of the entry. */
  readonly attributes: readonly string[];
  /** Makes the name. @returns undefined when a value is undefined or empty: then the group has no name */
  fill(value: (attribute: string) => string | undefined): string | undefined;
}

/**
 * Reads an attribute (`cn`), or a string with attributes in braces (`team:{cn}`). Literal braces can't be written: they
 * are more likely a mistake, and all groups would then have that one name.
 *
 * @throws TemplateError with the column and the fix
 */
export function parseNameTemplate(text: string): NameTemplate {
  // Literals and attributes alternate, beginning with a literal.
  const isAttribute = (turn: number) => turn % 2 === 1;
  const pieces = /[{}]/.test(text) ? text.split(/\{([^{}]*)\}/) : ['', text, ''];
  let index = 0;
  for (const [turn, piece] of pieces.entries()) {
    const brace = isAttribute(turn) ? -1 : piece.search(/[{}]/);
    if (brace !== -1)
      throw new TemplateError(text, index + brace, 'a brace without its partner', 'write {cn}');
    if (isAttribute(turn) && !isAttributeDescription(piece)) {
      const fix = 'write cn, or a string with attributes in braces, such as team:{cn}';
      throw new TemplateError(text, index, `"${piece}" is not an attribute`, fix);
    }
    index += piece.length + (isAttribute(turn) ? '{}'.length : 0);
  }
  const named = pieces.map((piece, turn) =>
    isAttribute(turn) && piece.toLowerCase() === 'dn' ? 'dn' : piece,
  );
  return {
    attributes: [...new Set(named.filter((_, turn) => isAttribute(turn)))],
    fill(value) {
      const texts = named.map((piece, turn) =>
        isAttribute(turn) ? value(piece) || undefined : piece,
      );
      return texts.includes(undefined) ? undefined : texts.join('');
    },
  };
}

const placeholder = '{username}';
const dnExample = 'uid={username},ou=people,dc=example,dc=com';

/** Makes a user's DN from the name alone, without a search. */
export interface DnTemplate {
  /** The DN that every result is below. */
  readonly parent: string;
  /** Makes the DN of a name that is not empty. The name is escaped (RFC 4514 section 2.4), so it can't add a level. */
  fill(username: string): string;
}

/** Reads a DN with `{username}` in a value of its first level. @throws TemplateError with the column and the fix */
export function parseDnTemplate(text: string): DnTemplate {
  const [index, ...otherIndexes] = braces(text);
  const isPlaceholder = index !== undefined && text.startsWith(placeholder, index);
  const extraBrace = isPlaceholder
    ? otherIndexes.find((brace) => brace !== index + placeholder.length - 1)
    : index;
  if (extraBrace !== undefined) {
    const fix =
      'write {username} once and nothing else in braces; write \\7b and \\7d for literal braces';
    throw new TemplateError(text, extraBrace, 'a brace too many', fix);
  }
  const fix = `write it as in ${dnExample}`;
  if (index === undefined) throw new TemplateError(text, text.length, 'no {username}', fix);
  const prefix = text.slice(0, index);
  const suffix = text.slice(index + placeholder.length);
  if (readDn(prefix)?.length !== 1) {
    const place = `write it as the value, or a part of the value, of the first level, not in quotes, as in ${dnExample}`;
    throw new TemplateError(text, index, '{username} is not allowed here', place);
  }
  const [entry, parent] = readDn(`${prefix}x${suffix}`) ?? [];
  if (entry === undefined) throw new TemplateError(text, 0, 'this is not a DN', fix);
  if (parent === undefined) throw new TemplateError(text, text.length, 'no DN of a parent', fix);
  return {
    parent: `${prefix}x${suffix}`.slice(entry.end + 1).trim(),
    fill: (username) => prefix + escapeDnValue(username) + suffix,
  };
}

/** Lists the indexes of the braces that no backslash escapes. */
function braces(text: string): number[] {
  return [...text.matchAll(/\\.|[{}]/gs)]
    .filter(([match]) => match.length === 1)
    .map((match) => match.index);
}

/** Escapes a value (RFC 4514 section 2.4) for any place in a DN. Other characters stay as UTF-8. */
function escapeDnValue(value: string): string {
  return value.replace(/^[ #]|["+,;<>\\]| $/g, '\\$&').replaceAll('\0', '\\00');
}
