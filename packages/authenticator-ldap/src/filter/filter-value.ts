import { isAttributeDescription } from './attribute-description.ts';
import { TemplateFault } from './template-fault.ts';

/** What the bytes of a value are made of, in their order. Empty: no bytes. */
export type ValueTemplate = readonly ValuePart[];
export type ValuePart = Buffer | Placeholder;

/** `{username}`, `{dn}` or `{attribute:NAME}`, without its braces. */
export interface Placeholder {
  readonly placeholder: string;
  /** Where in the template it stands. */
  readonly index: number;
}

const token =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is what RFC 4515 bars from values
  /\\(?<escaped>[0-9A-Fa-f]{2})|\{(?<placeholder>[^{}()\\*]*)\}|(?<asterisk>\*)|(?<literal>[^\\{}()*\x00]+)/y;

const mends: Readonly<Record<string, string>> = {
  '\\': 'a backslash begins two hexadecimal digits; write \\5c for the character itself',
  '{': 'a placeholder is {username}, {dn} or {attribute:NAME}; write \\7b for the character itself',
  '}': 'write \\7d for the character itself',
  '(': 'write \\28 for the character itself, or close the parenthesis before',
  '\0': 'write \\00 for the character itself',
};

/** One value of a filter's text, from after its operator to the closing parenthesis or the end of the text. */
export class ValueText {
  /** The index after the value. */
  readonly end: number;
  readonly #text: string;
  readonly #pieces: { part: ValuePart | '*'; index: number }[] = [];

  /** @throws TemplateFault */
  constructor(text: string, start: number) {
    this.#text = text;
    let at = start;
    while (at < text.length && text[at] !== ')') at = this.#read(at);
    this.end = at;
  }

  /** The parts that asterisks part, at least one. */
  betweenAsterisks(): ValueTemplate[] {
    const parts: ValuePart[][] = [[]];
    for (const { part } of this.#pieces) {
      if (part === '*') parts.push([]);
      else parts.at(-1)?.push(part);
    }
    return parts.map(joinBytes);
  }

  /** @throws TemplateFault when there is an asterisk */
  whole(): ValueTemplate {
    const asterisk = this.#pieces.find(({ part }) => part === '*');
    if (asterisk !== undefined) {
      throw new TemplateFault(this.#text, asterisk.index, '* has no meaning after this operator', 'write \\2a for it');
    }
    return this.betweenAsterisks()[0] ?? [];
  }

  /** @returns the index after what was read */
  #read(at: number): number {
    token.lastIndex = at;
    const groups = token.exec(this.#text)?.groups;
    const character = this.#text[at] ?? '';
    if (groups === undefined) {
      throw new TemplateFault(this.#text, at, `${JSON.stringify(character)} can't stand here`, mends[character] ?? '');
    }
    this.#pieces.push({ part: this.#part(groups, at), index: at });
    return token.lastIndex;
  }

  #part(groups: Record<string, string | undefined>, index: number): ValuePart | '*' {
    const { escaped, placeholder, literal } = groups;
    if (escaped !== undefined) return Buffer.from(escaped, 'hex');
    if (literal !== undefined) return Buffer.from(literal);
    if (placeholder === undefined) return '*';
    const attribute = /^attribute:(.*)$/s.exec(placeholder)?.[1];
    if (attribute === undefined || isAttributeDescription(attribute)) return { placeholder, index };
    const mend = 'write {attribute:NAME}, with an attribute of the user, such as {attribute:uidNumber}';
    throw new TemplateFault(this.#text, index, `"${attribute}" is no attribute`, mend);
  }
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
