import { readDn } from './distinguished-name.ts';
import { TemplateError } from './template-error.ts';

const placeholder = '{username}';
const example = 'uid={username},ou=people,dc=example,dc=com';

/** Makes a user's DN from the name alone, without a search. */
export interface DnTemplate {
  /** Every result is a DN below it. */
  readonly parent: string;
  /**
   * The name is escaped (RFC 4514 section 2.4), so the DN has the same levels whatever the name is.
   *
   * @param username not empty
   */
  fill(username: string): string;
}

/**
 * Reads a DN with `{username}` in a value of its first level. `\7b` and `\7d` are literal braces.
 *
 * @throws TemplateError with the column and the fix
 */
export function parseDnTemplate(text: string): DnTemplate {
  const [index, ...others] = braces(text);
  const known = index !== undefined && text.startsWith(placeholder, index);
  const surplus = known ? others.find((other) => other !== index + placeholder.length - 1) : index;
  if (surplus !== undefined) {
    const fix = 'write {username} once and nothing else in braces; write \\7b and \\7d for literal braces';
    throw new TemplateError(text, surplus, 'a brace too many', fix);
  }
  const fix = `write it as in ${example}`;
  if (index === undefined) throw new TemplateError(text, text.length, 'no {username}', fix);
  const before = text.slice(0, index);
  const after = text.slice(index + placeholder.length);
  if (readDn(before)?.length !== 1) {
    const fix = `write it as the value, or a part of the value, of the first level, not in quotes, as in ${example}`;
    throw new TemplateError(text, index, '{username} is not allowed here', fix);
  }
  const [entry, parent] = readDn(`${before}x${after}`) ?? [];
  if (entry === undefined) throw new TemplateError(text, 0, 'this is no DN', fix);
  if (parent === undefined) throw new TemplateError(text, text.length, 'no DN of a parent', fix);
  return {
    parent: `${before}x${after}`.slice(entry.end + 1).trim(),
    fill: (username) => before + escapeDnValue(username) + after,
  };
}

/** The indexes of the braces that no backslash escapes. */
function braces(text: string): number[] {
  return [...text.matchAll(/\\.|[{}]/gs)].filter(([match]) => match.length === 1).map((match) => match.index);
}

/** The spelling of a value (RFC 4514 section 2.4) that may be anywhere in it; other characters stay as UTF-8. */
function escapeDnValue(value: string): string {
  return value.replace(/^[ #]|["+,;<>\\]| $/g, '\\$&').replaceAll('\0', '\\00');
}
