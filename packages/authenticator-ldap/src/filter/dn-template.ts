import { readDn } from './dn-reader.ts';
import { TemplateFault } from './template-fault.ts';

const placeholder = '{username}';
const example = 'uid={username},ou=people,dc=example,dc=com';

/** Makes a user's DN of the name alone, without a search. */
export interface DnTemplate {
  /** The DN below which every result lies. */
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
 * @throws TemplateFault with the column and the mend
 */
export function parseDnTemplate(text: string): DnTemplate {
  const [index, ...others] = braces(text);
  const known = index !== undefined && text.startsWith(placeholder, index);
  const surplus = known ? others.find((other) => other !== index + placeholder.length - 1) : index;
  if (surplus !== undefined) {
    const mend = `{username} stands here once and nothing else in braces; write \\7b and \\7d for literal braces`;
    throw new TemplateFault(text, surplus, 'a brace too many', mend);
  }
  if (index === undefined) throw new TemplateFault(text, text.length, 'no {username}', `write it as in ${example}`);
  const before = text.slice(0, index);
  const after = text.slice(index + placeholder.length);
  if (readDn(before)?.length !== 1) {
    const mend = `it is the value, or a part of the value, of the first level only, not in quotes, as in ${example}`;
    throw new TemplateFault(text, index, "{username} can't stand here", mend);
  }
  const [entry, parent] = readDn(`${before}x${after}`) ?? [];
  if (entry === undefined) throw new TemplateFault(text, 0, 'this is no DN', `write it as in ${example}`);
  if (parent === undefined)
    throw new TemplateFault(text, text.length, 'no DN of a parent', `write it as in ${example}`);
  return {
    parent: `${before}x${after}`.slice(entry.end + 1).trim(),
    fill: (username) => before + escapeDnValue(username) + after,
  };
}

/** Where braces stand that no backslash escapes. */
function braces(text: string): number[] {
  return [...text.matchAll(/\\.|[{}]/gs)].filter(([match]) => match.length === 1).map((match) => match.index);
}

/** The spelling of a value (RFC 4514 section 2.4) that stands anywhere in a value; other characters stay as UTF-8. */
function escapeDnValue(value: string): string {
  return value.replace(/^[ #]|["+,;<>\\]| $/g, '\\$&').replaceAll('\0', '\\00');
}
